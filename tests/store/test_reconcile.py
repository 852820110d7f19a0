from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from evergreen.errors import UnavailableError
from evergreen.gate.decision import DecisionKind, Reason
from evergreen.store.entry import Cause, LedgerEntry
from evergreen.store.facts import FactKind
from evergreen.store.ledger import Ledger
from evergreen.store.outbox import Outbox
from evergreen.store.reconcile import crown_served, reconcile

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
NOW = MONDAY + timedelta(days=7)
ENTRY = LedgerEntry("churn", DecisionKind.PROMOTE, ("better",), (), Reason.SCHEDULED, MONDAY, MONDAY, "anna")


@dataclass
class Alias:
    """A registry as reconciling sees one: an alias that is moved by compare-and-set."""

    version: int | None
    known: tuple[int, ...] = tuple(range(1, 10))
    on_turn: Callable[[], object] = lambda: None

    @contextmanager
    def turn(self, model: str) -> Iterator[None]:
        """Somebody else may have had it just before."""
        self.on_turn()
        yield

    def versions(self, model: str) -> tuple[int, ...]:
        return self.known

    def champion_version(self, model: str) -> int | None:
        return self.version

    def promote(self, model: str, version: int, expected_champion: int | None, **options: object) -> None:
        assert self.version == expected_champion
        self.version = version


class Down:
    def turn(self, model: str) -> AbstractContextManager[None]:
        return nullcontext()

    def versions(self, model: str) -> tuple[int, ...]:
        raise UnavailableError("http://mlflow: does not answer")

    def champion_version(self, model: str) -> int | None:
        raise UnavailableError("http://mlflow: does not answer")

    def promote(self, model: str, version: int, expected_champion: int | None, **options: object) -> None:
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


def test_what_is_finished_days_late_is_told_all_the_same(ledger):
    entry = promote(ledger, before=3, after=4)
    reconcile(ledger, Alias(4), "churn", NOW)
    fact = Outbox(ledger.url).known(f"decision:{entry.id}")
    assert (fact.kind, fact.at) == (FactKind.PROMOTED, NOW)


def test_two_who_withdraw_write_it_and_tell_of_it_once(ledger):
    entry = promote(ledger, before=3, after=4)
    registry = Alias(7)
    registry.on_turn = lambda: ledger.withdraw(entry, "seen by another", NOW)
    assert reconcile(ledger, registry, "churn", NOW) == []
    assert ledger.withdraw(entry, "and again", NOW) is None
    assert [e.cause for e in ledger.entries("churn")] == [Cause.RECONCILE, Cause.RUN]
    assert len(Outbox(ledger.url).due("mail", [FactKind.HELD], NOW, MONDAY)) == 1


@pytest.mark.parametrize("crowned", [True, False])
def test_what_took_effect_or_was_overtaken_is_not_withdrawn(ledger, crowned):
    entry = promote(ledger, before=3, after=4)
    done = entry if crowned else promote(ledger, before=3, after=5)
    ledger.crown(done.id, "churn", done.version, NOW)
    assert ledger.withdraw(entry, "late", NOW) is None
    assert {e.kind for e in ledger.entries("churn")} == {DecisionKind.PROMOTE}


def test_what_another_finished_while_the_turn_was_waited_for_is_not_done_again(ledger):
    entry = promote(ledger, before=3, after=4)
    registry = Alias(3)
    registry.on_turn = lambda: ledger.withdraw(entry, "pinned", NOW)
    assert reconcile(ledger, registry, "churn", NOW) == []
    assert registry.version == 3


def test_a_champion_that_is_served_is_crowned_before_anybody_follows_it(ledger):
    first, second = promote(ledger, before=3, after=4), promote(ledger, before=4, after=5)
    assert crown_served(ledger, Alias(3), "churn", NOW) == ""
    assert "champion already" in crown_served(ledger, Alias(4), "churn", NOW, but=second.id)
    assert crown_served(ledger, Alias(4), "churn", NOW) == ""
    assert [crown.decision_id for crown in ledger.history("churn")] == [first.id]


@pytest.mark.parametrize(
    ("cause", "before", "alias", "left_at", "crowned"),
    [
        (Cause.ADOPTION, 3, 4, 4, [4]),
        (Cause.ADOPTION, 3, 3, 3, []),  # somebody moved it back: it is not moved again
        (Cause.ADOPTION, 3, None, None, []),
        (Cause.RESTORATION, 7, 7, 4, [4]),
        (Cause.RESTORATION, None, None, 4, [4]),
        (Cause.RESTORATION, 7, 4, 4, [4]),
        (Cause.RESTORATION, 7, 8, 8, []),  # somebody moved it on
    ],
)
def test_the_answer_to_a_moved_alias_is_finished_only_where_the_alias_was_left(
    ledger, cause, before, alias, left_at, crowned
):
    ledger.record(replace(ENTRY, version=4, champion_before=before, champion_after=4, cause=cause))
    registry = Alias(alias)
    (line,) = reconcile(ledger, registry, "churn", NOW)
    assert ("is withdrawn" in line) is not bool(crowned)
    assert registry.version == left_at
    assert [crown.version for crown in ledger.history("churn")] == crowned
    assert reconcile(ledger, registry, "churn", NOW) == []
