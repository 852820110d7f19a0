"""Trials in the store: one beginning, one end, both chained; and totals that every process writes for itself."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from evergreen.address import with_driver
from evergreen.errors import IntegrityError
from evergreen.evaluation.totals import Losses, Totals
from evergreen.gate.decision import DecisionKind, Reason
from evergreen.notify.words import text
from evergreen.spec.canary import CanaryQuality, CanaryRules
from evergreen.store.canary import Canaries, CanaryState
from evergreen.store.canary_end import Ended
from evergreen.store.entry import Cause, LedgerEntry
from evergreen.store.facts import FactKind
from evergreen.store.ledger import AlreadyDecided
from evergreen.store.outbox import Outbox
from evergreen.store.protected import protected

NOW = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
RULES = CanaryRules(share=0.3, quality=CanaryQuality(metric="accuracy", margin=0.01), watch=HOUR)
FIRST = LedgerEntry(
    "churn", DecisionKind.PROMOTE, ("fine",), (), Reason.MANUAL, NOW, NOW, "eva",
    training_key="k1", mlflow_run="r1", model_digest="d1", version=1, champion_after=1, fence=0,
)  # fmt: skip


@pytest.fixture
def held(ledger):
    first = ledger.record(FIRST)
    ledger.crown(first.id, "churn", 1, NOW)
    waits = replace(FIRST, kind=DecisionKind.HOLD, training_key="k2", version=2, model_digest="d2", champion_before=1)
    return ledger.record(replace(waits, fence=ledger.fence("churn")), RULES)


def canaries(ledger):
    return Canaries(ledger.url)


def answer(held, kind, cause):
    after = 2 if kind is DecisionKind.PROMOTE else 1
    return replace(held, id=None, kind=kind, cause=cause, resolves=held.id, champion_after=after)


def test_a_trial_begins_with_its_decision(ledger, held):
    (trial,) = canaries(ledger).open()
    assert (trial.decision_id, trial.champion, trial.challenger, trial.digest) == (held.id, 1, 2, "d2")
    assert (trial.rules, trial.since, trial.state) == (RULES, NOW, CanaryState.RUNNING)
    assert canaries(ledger).open("churn") == (trial,) == (canaries(ledger).find(held.id),)
    assert canaries(ledger).open("delay") == ()


@pytest.mark.parametrize("change", [{"kind": DecisionKind.REJECT}, {"version": None}, {"champion_before": None}])
def test_what_cannot_be_tried_is_not_even_written(ledger, held, change):
    with pytest.raises(ValueError, match="is tried"):
        ledger.record(replace(held, id=None, **change), RULES)
    assert [entry.id for entry in ledger.entries("churn")] == [held.id, 1]


def test_the_newest_totals_of_each_process_are_added_up(ledger, held):
    one, two = Totals(10, 1, {3: 10}, Losses(2, 1.0, 1.0)), Totals(30, 2, {3: 20, 4: 10})
    tell = canaries(ledger).observe
    tell(held.id, "champion", "a", one, NOW)
    tell(held.id, "champion", "a", two, NOW + HOUR)
    tell(held.id, "champion", "a", one, NOW)  # came late
    tell(held.id, "champion", "b", one, NOW)
    tell(held.id, "challenger", "a", one, NOW)
    observed = canaries(ledger).observed(canaries(ledger).find(held.id))
    assert (observed.champion.totals, observed.challenger.totals) == (two + one, one)
    assert (observed.since, observed.until) == (NOW, NOW + HOUR)
    with pytest.raises(ValueError, match="nobody"):
        tell(held.id, "nobody", "a", one, NOW)


@pytest.mark.parametrize(
    ("kind", "cause", "outcome"),
    [
        (DecisionKind.REJECT, Cause.CANARY, Ended.ROLLED_BACK),
        (DecisionKind.REJECT, Cause.TIMEOUT, Ended.TIMED_OUT),
        (DecisionKind.REJECT, Cause.APPROVAL, Ended.ANSWERED),
        (DecisionKind.PROMOTE, Cause.APPROVAL, Ended.ANSWERED),
        (DecisionKind.PROMOTE, Cause.ADOPTION, Ended.ANSWERED),
        (DecisionKind.PROMOTE, Cause.CANARY, Ended.PROMOTED),
    ],
)
def test_an_answer_ends_a_trial_when_it_takes_effect(ledger, held, kind, cause, outcome):
    written = ledger.record(answer(held, kind, cause))
    assert canaries(ledger).open() == ()
    if kind is DecisionKind.PROMOTE:
        assert canaries(ledger).find(held.id).state is CanaryState.DECIDED
        ledger.crown(written.id, "churn", 2, NOW + HOUR)
    trial = canaries(ledger).find(held.id)
    assert (trial.state, trial.outcome) == (CanaryState.ENDED, outcome)
    assert f"decision {written.id}" in trial.why
    assert ledger.verify() == ()


def test_a_promotion_that_is_withdrawn_ends_its_trial_so(ledger, held):
    written = ledger.record(answer(held, DecisionKind.PROMOTE, Cause.CANARY))
    ledger.withdraw(written, "pinned", NOW)
    assert canaries(ledger).find(held.id).outcome is Ended.WITHDRAWN


def test_a_promotion_without_effect_is_not_yet_the_end_of_its_trial(ledger, held):
    written = ledger.record(answer(held, DecisionKind.PROMOTE, Cause.CANARY))
    assert canaries(ledger).open() == ()
    assert [trial.state for trial in canaries(ledger).unended()] == [CanaryState.DECIDED]
    ledger.crown(written.id, "churn", 2, NOW)
    assert canaries(ledger).unended() == ()


def test_rules_of_a_promotion_that_nobody_watches_are_not_read(ledger, held):
    written = ledger.record(answer(held, DecisionKind.PROMOTE, Cause.CANARY))
    ledger.crown(written.id, "churn", 2, NOW)
    assert [trial.decision_id for trial in canaries(ledger).watched(NOW)] == [held.id]
    forge(ledger, f"UPDATE canaries SET rules = '{{\"patience\": 3}}' WHERE decision_id = {held.id}")
    assert canaries(ledger).watched(NOW) == ()


def test_a_newer_training_that_is_rejected_lets_a_trial_go_on(ledger, held):
    ledger.record(replace(held, id=None, kind=DecisionKind.REJECT, training_key="k3", version=None))
    assert [trial.decision_id for trial in canaries(ledger).open()] == [held.id]
    assert ledger.record(answer(held, DecisionKind.PROMOTE, Cause.CANARY)).resolves == held.id


def test_people_are_told_of_a_trial_that_is_overtaken(ledger, held):
    newer = ledger.record(replace(held, id=None, training_key="k3", version=3), RULES)
    fact = Outbox(ledger.url).known(f"canary:{held.id}")
    assert (fact.kind, fact.payload["cause"]) == (FactKind.REJECTED, "overtaken")
    assert fact.payload["reasons"] == [f"decision {newer.id} knew newer data"]
    assert text(fact).title.startswith("churn: the canary of a new model ended without a verdict, as a newer one")
    assert Outbox(ledger.url).known(f"canary:{newer.id}") is None


def test_what_is_tried_is_protected_as_such_and_then_as_a_question_to_a_person(ledger, held):
    assert protected(ledger, "churn")[2] == f"decision {held.id} tries it on real requests"
    canaries(ledger).end(canaries(ledger).find(held.id), Ended.TIMED_OUT, "no verdict", NOW)
    assert protected(ledger, "churn")[2] == f"decision {held.id} holds it until a person has answered"


def test_ended_trials_with_rules_of_another_evergreen_keep_nobody_from_those_that_run(ledger, held):
    newer = ledger.record(replace(held, id=None, training_key="k3", version=3), RULES)
    forge(ledger, f"UPDATE canaries SET rules = '{{\"patience\": 3}}' WHERE decision_id = {held.id}")
    assert [trial.decision_id for trial in canaries(ledger).open()] == [newer.id]
    assert [trial.decision_id for trial in canaries(ledger).unended()] == [newer.id]
    assert canaries(ledger).find(newer.id).decision_id == newer.id
    assert canaries(ledger).watched(NOW, "churn") == ()
    with pytest.raises(IntegrityError, match=rf"canary of decision {held.id} \(churn\) are none .*\(patience\)"):
        canaries(ledger).history()


@pytest.mark.parametrize(
    ("forgery", "found"),
    [
        ("UPDATE canaries SET decision_id = 1 WHERE event = 'began'", "says that decision 1 began a trial, which was"),
        ("UPDATE canaries SET model = 'demand' WHERE event = 'began'", "says that decision 2 began a trial, which was"),
        ("UPDATE canaries SET outcome = 'promoted'", "canary of decision 2 promoted, but no answer to it took effect"),
        ("UPDATE canaries SET decision_id = 1 WHERE event = 'ended'", "ends a trial of decision 1 that never began"),
    ],
)
def test_a_trial_that_makes_no_sense_is_found(ledger, held, forgery, found):
    canaries(ledger).end(canaries(ledger).find(held.id), Ended.TIMED_OUT, "no verdict", NOW)
    assert ledger.verify() == ()
    forge(ledger, forgery)
    assert [found in problem for problem in ledger.verify()].count(True) == 1


def test_newer_data_or_another_champion_end_a_trial(ledger, held):
    newer = ledger.record(replace(held, id=None, training_key="k3", version=3), RULES)
    assert canaries(ledger).find(held.id).outcome is Ended.OVERTAKEN
    back = replace(FIRST, cause=Cause.ROLLBACK, training_key=None)
    ledger.crown(ledger.record(back).id, "churn", 1, NOW)
    assert canaries(ledger).find(newer.id).outcome is Ended.WITHDRAWN


@pytest.mark.parametrize("kind", [DecisionKind.PROMOTE, DecisionKind.REJECT])
def test_who_answers_a_trial_after_newer_data_were_decided_on_is_refused(ledger, held, kind):
    newer = ledger.record(replace(held, id=None, training_key="k3", version=3))
    with pytest.raises(AlreadyDecided, match=f"decision {held.id} was overtaken by decision {newer.id}"):
        ledger.record(answer(held, kind, Cause.CANARY))
    assert ledger.entries("churn")[0] == newer
    ledger.record(answer(newer, kind, Cause.APPROVAL))


def test_a_run_that_trained_nothing_ends_no_trial(ledger, held):
    ledger.record(replace(FIRST, kind=DecisionKind.SKIP))
    ledger.record(replace(FIRST, kind=DecisionKind.HOLD, training_key=None))
    assert [trial.decision_id for trial in canaries(ledger).open()] == [held.id]


def test_an_end_without_an_answer_is_written_once_and_told(ledger, held):
    trial = canaries(ledger).find(held.id)
    assert canaries(ledger).end(trial, Ended.TIMED_OUT, "no verdict", NOW + HOUR)
    assert not canaries(ledger).end(trial, Ended.WITHDRAWN, "late", NOW + HOUR)
    over = canaries(ledger).find(held.id)
    assert (over.outcome, over.why, over.until) == (Ended.TIMED_OUT, "no verdict", NOW + HOUR)
    fact = Outbox(ledger.url).known(f"canary:{held.id}")
    assert (fact.kind, fact.at, fact.payload["decision"]) == (FactKind.HELD, NOW + HOUR, held.id)
    # The decision itself still waits for a person.
    assert [entry.id for entry in ledger.pending("churn")] == [held.id]


@pytest.mark.parametrize("change", ["UPDATE canaries SET model = 'other'", "DELETE FROM canaries"])
def test_no_trial_can_be_changed(ledger, held, change):
    with pytest.raises(sa.exc.DBAPIError, match="canaries is append-only"):
        execute(ledger, change)


def test_a_trial_that_was_slipped_in_is_refused(ledger, held):
    row = "(decision_id, event, model, at) VALUES (1, 'began', 'churn', '2026-03-02')"
    with pytest.raises(sa.exc.DBAPIError, match="chained rows only"):
        execute(ledger, f"INSERT INTO canaries {row}")


def execute(ledger, statement):
    engine = sa.create_engine(with_driver(ledger.url), poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text(statement))


def forge(ledger, statement):
    """Run a statement as the owner of the tables, to whom triggers are no obstacle."""
    engine = sa.create_engine(with_driver(ledger.url), poolclass=sa.NullPool)
    with engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            names = connection.execute(sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars()
            before = [f"DROP TRIGGER {name}" for name in names]
        else:
            before = ["SET session_replication_role = replica"]
        for step in (*before, statement):
            connection.exec_driver_sql(step)
