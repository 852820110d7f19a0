"""What is counted of trials reaches the store, also when that was down meanwhile."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from evergreen.gate.canary import Side
from evergreen.gate.decision import DecisionKind, Reason
from evergreen.serving.handles import Role
from evergreen.serving.observer import Observer
from evergreen.serving.trial import Trials
from evergreen.spec.canary import CanaryRules
from evergreen.store.canary import Canaries
from evergreen.store.entry import Cause, LedgerEntry
from evergreen.store.ledger import Ledger
from tests.serving.application import served

NOW = datetime(2026, 3, 2, tzinfo=UTC)
RULES = CanaryRules(watch=timedelta(hours=1))
FIRST = LedgerEntry(
    "parcels", DecisionKind.PROMOTE, ("fine",), (), Reason.MANUAL, NOW, NOW, "eva",
    training_key="k1", mlflow_run="r1", model_digest="d1", version=1, champion_after=1, fence=0,
)  # fmt: skip


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(f"sqlite:///{tmp_path / 'evergreen.db'}")
    ledger.prepare()
    first = ledger.record(FIRST)
    ledger.crown(first.id, "parcels", 1, NOW)
    return ledger


@pytest.fixture
def held(ledger):
    waits = replace(FIRST, kind=DecisionKind.HOLD, training_key="k2", version=2, model_digest="d2", champion_before=1)
    return ledger.record(replace(waits, fence=ledger.fence("parcels")), RULES)


@pytest.fixture
def trials(held):
    trials = Trials()
    trials.of(replace(served(2), role=Role.CHALLENGER, decision=held.id, trial=RULES))
    return trials


def observer(trials, ledger, process="a"):
    return Observer(trials, Canaries(ledger.url), process, lambda: NOW)


def requests(ledger, held):
    canaries = Canaries(ledger.url)
    seen = canaries.observed(canaries.find(held.id))
    return seen.champion.totals.requests, seen.challenger.totals.requests, seen.watched.requests


def test_every_process_writes_what_it_counted(ledger, held, trials):
    (trial,) = trials.seen
    trial.champion.answered(1.0)
    one, other = observer(trials, ledger), observer(trials, ledger, "b")
    assert one.look()
    assert other.look()
    assert requests(ledger, held) == (2, 0, 0)
    trial.challenger.failed()
    assert one.look()
    assert requests(ledger, held) == (2, 1, 0)


def test_a_store_that_is_down_loses_nothing(ledger, held, trials, tmp_path):
    (trial,) = trials.seen
    writes = observer(trials, ledger)
    trial.champion.answered(1.0)
    assert writes.look()
    store = tmp_path / "evergreen.db"
    store.rename(tmp_path / "away.db")
    store.mkdir()
    for _ in range(5):
        trial.champion.answered(1.0)
        assert not writes.look()
    store.rmdir()
    (tmp_path / "away.db").rename(store)
    assert writes.look()
    assert requests(ledger, held) == (6, 0, 0)


def test_whoever_was_promoted_is_watched_as_long_as_its_rules_say(ledger, held, trials):
    answer = replace(held, id=None, kind=DecisionKind.PROMOTE, cause=Cause.CANARY, resolves=held.id, champion_after=2)
    written = ledger.record(answer)
    ledger.crown(written.id, "parcels", 2, NOW)
    watches = observer(trials, ledger)
    assert watches.look()
    trials.watching(served(2)).answered(1.0)
    assert trials.watching(served(1)) is None
    assert watches.look()
    assert requests(ledger, held) == (0, 0, 1)
    watches.clock = lambda: NOW + timedelta(hours=2)
    assert watches.look()
    assert trials.watching(served(2)) is None


def test_nothing_is_written_of_a_side_that_nobody_asked(ledger, held, trials):
    assert observer(trials, ledger).look()
    canaries = Canaries(ledger.url)
    assert canaries.observed(canaries.find(held.id)).until is None
    assert canaries.counted_at(held.id, "a") is None
    assert list(Side) == ["champion", "challenger", "watched"]
