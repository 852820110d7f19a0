from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from evergreen.errors import UnavailableError
from evergreen.gate.decision import DecisionKind, Reason
from evergreen.store.entry import LedgerEntry
from evergreen.store.ledger import Ledger
from evergreen.store.reconcile import reconcile

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
NOW = MONDAY + timedelta(days=7)
ENTRY = LedgerEntry("churn", DecisionKind.PROMOTE, ("better",), (), Reason.SCHEDULED, MONDAY, MONDAY, "anna")


@dataclass
class Alias:
    """A registry as reconciling sees one: an alias that is moved by compare-and-set."""

    version: int | None
    known: tuple[int, ...] = tuple(range(1, 10))

    def versions(self, model: str) -> tuple[int, ...]:
        return self.known

    def champion_version(self, model: str) -> int | None:
        return self.version

    def promote(self, model: str, version: int, expected_champion: int | None, *, despite_pin: bool = False) -> None:
        assert self.version == expected_champion
        self.version = version


class Down:
    def versions(self, model: str) -> tuple[int, ...]:
        raise UnavailableError("http://mlflow: does not answer")

    def champion_version(self, model: str) -> int | None:
        raise UnavailableError("http://mlflow: does not answer")

    def promote(self, model: str, version: int, expected_champion: int | None, *, despite_pin: bool = False) -> None:
        raise UnavailableError("http://mlflow: does not answer")


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    ledger = Ledger(f"sqlite:///{tmp_path / 'evergreen.db'}")
    ledger.prepare()
    return ledger


def promote(ledger: Ledger, before: int | None, after: int) -> LedgerEntry:
    return ledger.record(replace(ENTRY, version=after, champion_before=before, champion_after=after))


@pytest.mark.parametrize(
    ("alias", "left_at", "crowned", "says"),
    [
        (3, 4, [4], "was promoted"),  # killed between the ledger and the alias
        (4, 4, [4], "was champion already"),  # killed between the alias and the crown
        (7, 7, [], "withdrawn"),  # somebody moved the alias meanwhile
        (None, None, [], "the champion is gone"),
    ],
)
def test_a_promotion_that_was_cut_short_is_finished_only_where_nothing_else_happened(
    ledger, alias, left_at, crowned, says
):
    promote(ledger, before=3, after=4)
    registry = Alias(alias)
    (sentence,) = reconcile(ledger, registry, "churn", NOW)
    assert says in sentence
    assert registry.version == left_at
    assert [crown.version for crown in ledger.history("churn")] == crowned


def test_the_history_dates_a_served_version_from_its_decision(ledger):
    promote(ledger, before=3, after=4)
    reconcile(ledger, Alias(4), "churn", NOW)
    assert [crown.at for crown in ledger.history("churn")] == [MONDAY]


@pytest.mark.parametrize("registry", [Alias(7), Alias(None), Alias(3, known=(1, 2, 3))])
def test_a_promotion_that_cannot_happen_is_withdrawn_once_and_never_revived(ledger, registry):
    entry = promote(ledger, before=3, after=4)
    (sentence,) = reconcile(ledger, registry, "churn", NOW)
    assert "withdrawn" in sentence
    newest = ledger.entries("churn")[0]
    assert (newest.kind, newest.version, newest.champion_after) == (DecisionKind.HOLD, 4, 3)
    assert newest.reasons[0].startswith(f"decision {entry.id} is withdrawn")
    registry.version, registry.known = 3, (1, 2, 3, 4)
    assert reconcile(ledger, registry, "churn", NOW) == []
    assert registry.version == 3


def test_the_first_promotion_of_a_model_is_finished(ledger):
    promote(ledger, before=None, after=1)
    registry = Alias(None)
    reconcile(ledger, registry, "churn", NOW)
    assert registry.version == 1
    assert ledger.champion_at("churn", NOW)[0] == 1


def test_reconciling_twice_does_nothing_the_second_time(ledger):
    promote(ledger, before=3, after=4)
    registry = Alias(3)
    assert len(reconcile(ledger, registry, "churn", NOW)) == 1
    assert reconcile(ledger, registry, "churn", NOW + timedelta(days=1)) == []
    assert [crown.at for crown in ledger.history("churn")] == [NOW]


def test_two_promotions_cut_short_are_finished_in_their_order(ledger):
    promote(ledger, before=3, after=4)
    promote(ledger, before=4, after=5)
    registry = Alias(3)
    reconcile(ledger, registry, "churn", NOW)
    assert registry.version == 5
    assert [crown.version for crown in ledger.history("churn")] == [4, 5]


def test_an_old_promotion_is_not_revived_by_a_rollback_to_the_champion_before_it(ledger):
    promote(ledger, before=3, after=4)
    rollback = promote(ledger, before=5, after=3)
    ledger.crown(rollback.id, "churn", 3, NOW)
    registry = Alias(3)
    assert reconcile(ledger, registry, "churn", NOW) == []
    assert registry.version == 3


def test_a_registry_that_is_down_leaves_everything_for_the_next_run(ledger):
    promote(ledger, before=3, after=4)
    with pytest.raises(UnavailableError):
        reconcile(ledger, Down(), "churn", NOW)
    assert len(ledger.unfinished("churn")) == 1
    assert ledger.history("churn") == ()
