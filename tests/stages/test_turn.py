"""Who may start: one run of a model at a time, one retraining for drift in a while."""

from contextlib import ExitStack
from datetime import timedelta

import pytest

from evergreen.errors import SpecError
from evergreen.gate.decision import DecisionKind, Reason
from evergreen.stages.run import Origin, Request
from evergreen.stages.turn import TIDYING, take_turn
from evergreen.store import turn as turns
from evergreen.store.outbox import Outbox, began_key


def test_a_run_that_meets_another_leaves_a_reason_and_nothing_else(crowned, second_moment):
    before = crowned.production()
    with turns.take_turn(crowned.settings.store_url, "tiny", "run 4711", second_moment):
        conclusion = crowned.run(second_moment, Reason.SCHEDULED)
    assert (conclusion.dropped, conclusion.champion, conclusion.page) == (True, 1, "")
    assert crowned.production() == before
    entry = crowned.ledger.entries("tiny")[0]
    assert (entry.id, entry.kind, entry.reason) == (conclusion.ledger_id, DecisionKind.SKIP, Reason.SCHEDULED)
    assert "run 4711" in entry.reasons[0]
    assert len(crowned.parents()) == 1


def test_a_run_of_which_an_earlier_process_lives_is_no_second_one_and_fails(crowned, second_moment):
    request, origin = Request("tiny", second_moment, Reason.MANUAL), Origin("tester", flow_run="run 4711")
    with (
        turns.take_turn(crowned.settings.store_url, "tiny", "run 4711", second_moment),
        pytest.raises(turns.Busy, match="run 4711"),
        take_turn(request, origin, crowned.settings, second_moment),
    ):
        pass
    assert crowned.decisions() == ["PROMOTE"]


def test_a_run_waits_for_who_only_cleans_up_and_is_not_lost(crowned, second_moment):
    request, url, waited = Request("tiny", second_moment, Reason.SCHEDULED), crowned.settings.store_url, []
    with ExitStack() as cleaning:
        cleaning.enter_context(turns.take_turn(url, "tiny", TIDYING, second_moment))

        def pause(seconds):
            waited.append(seconds)
            if len(waited) == 3:
                cleaning.close()

        with take_turn(request, Origin("tester", flow_run="run 1"), crowned.settings, second_moment, pause) as turn:
            assert turn.dropped == ""
            assert turns.holder(url, "tiny").holder == "run 1"
    assert len(waited) == 3


def test_a_run_does_not_wait_for_ever(crowned, second_moment):
    request, waited = Request("tiny", second_moment, Reason.SCHEDULED), []
    with (
        turns.take_turn(crowned.settings.store_url, "tiny", TIDYING, second_moment),
        take_turn(request, Origin("tester"), crowned.settings, second_moment, waited.append) as turn,
    ):
        assert "reconcile" in turn.dropped
    assert sum(waited) == 60


def test_a_run_waits_for_no_other_run(crowned, second_moment):
    request, waited = Request("tiny", second_moment, Reason.SCHEDULED), []
    with (
        turns.take_turn(crowned.settings.store_url, "tiny", "run 4711", second_moment),
        take_turn(request, Origin("tester"), crowned.settings, second_moment, waited.append) as turn,
    ):
        assert "run 4711" in turn.dropped
    assert waited == []


def test_the_store_remembers_whose_turn_it_was(crowned, second_moment):
    outbox = Outbox(crowned.settings.store_url)
    for flow_run, options in (("run 1", {}), ("run 2", {"dry_run": True}), (None, {})):
        request = Request("tiny", second_moment, Reason.MANUAL, **options)
        with take_turn(request, Origin("tester", flow_run=flow_run), crowned.settings, second_moment):
            pass
    assert outbox.known(began_key("run 1")).model == "tiny"
    assert outbox.known(began_key("run 2")) is None, "it takes no turn"


def test_the_turn_is_that_of_the_model_not_of_the_file(crowned, second_moment):
    crowned.change(model="Renamed")
    request = Request("tiny", second_moment, Reason.MANUAL)
    with take_turn(request, Origin("tester"), crowned.settings, second_moment) as turn:
        assert turn.model == "Renamed"
        assert turns.holder(crowned.settings.store_url, "Renamed") is not None


def test_a_spec_that_is_not_there_is_said_so(crowned, second_moment):
    request = Request("tinny", second_moment, Reason.MANUAL)
    with (
        pytest.raises(SpecError, match="did you mean tiny"),
        take_turn(request, Origin("tester"), crowned.settings, second_moment),
    ):
        pass


def decide_on_drift(project, moment, flow_run=None):
    """A retraining for drift that was decided on, as it stands in the ledger."""
    from dataclasses import replace

    decided = project.ledger.entries("tiny")[0]
    first = replace(decided, id=None, kind=DecisionKind.REJECT, reason=Reason.DRIFT, flow_run=flow_run)
    return project.ledger.record(replace(first, decided_at=moment))


@pytest.mark.parametrize(
    ("reason", "later", "options", "dropped"),
    [
        (Reason.DRIFT, timedelta(hours=11), {}, True),
        (Reason.DRIFT, timedelta(hours=12), {}, False),
        (Reason.MANUAL, timedelta(hours=1), {}, False),
        (Reason.SCHEDULED, timedelta(hours=1), {}, False),
        (Reason.DRIFT, timedelta(hours=1), {"force": True}, False),
        (Reason.DRIFT, timedelta(hours=1), {"dry_run": True}, False),
    ],
)
def test_after_a_retraining_for_drift_no_other_alert_starts_one_for_a_while(
    crowned, second_moment, reason, later, options, dropped
):
    crowned.change(drift__cooldown="12h")
    first = decide_on_drift(crowned, second_moment)
    request = Request("tiny", second_moment, reason, **options)
    with take_turn(request, Origin("tester"), crowned.settings, second_moment + later) as turn:
        assert bool(turn.dropped) is dropped
        if dropped:
            assert turn.dropped == (
                f"decision {first.id} answered drift at {second_moment:%Y-%m-%d %H:%M} UTC, and drift.cooldown is 12h"
            )


def test_what_a_run_decided_before_it_was_cut_short_is_not_in_its_own_way(crowned, second_moment):
    decide_on_drift(crowned, second_moment, flow_run="run 4711")
    request, origin = Request("tiny", second_moment, Reason.DRIFT), Origin("tester", flow_run="run 4711")
    with take_turn(request, origin, crowned.settings, second_moment) as turn:
        assert turn.dropped == ""


def test_an_alert_that_found_no_drift_does_not_keep_the_next_one_away(crowned, second_moment):
    crowned.change(drift={"min_rows": 100, "retrain_share": 1.0})
    for _ in range(2):
        conclusion = crowned.run(second_moment, Reason.DRIFT)
        assert conclusion.evidence.decision.kind is DecisionKind.SKIP
        assert not conclusion.dropped
