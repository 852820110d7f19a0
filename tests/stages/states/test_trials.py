"""A trial ends in one of its six ways, once, whatever dies or comes in between."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from evergreen.errors import UserError
from evergreen.gate.decision import DecisionKind
from evergreen.stages import answer
from evergreen.store.canary_end import Ended
from evergreen.store.entry import Cause
from evergreen.store.ledger import AlreadyDecided
from evergreen.store.pins import Pins
from tests.stages.states.people import crowned, go_back, promote_next
from tests.stages.states.registry import MODEL
from tests.stages.states.trials import BAD, FEW, FINE, WITHIN, Trials
from tests.stages.states.world import POINTS

PROMOTE, REJECT, HOLD = DecisionKind.PROMOTE, DecisionKind.REJECT, DecisionKind.HOLD


@pytest.fixture
def tried(template):
    """Version 1 is champion, and version 2 is tried beside it by decision 2."""
    machine = Trials()
    machine.begin(crowned=True)
    machine.try_challenger()
    yield machine
    machine.teardown()


def outcomes(machine):
    return [trial.outcome for trial in machine.canaries.history(MODEL)]


def test_no_sequence_of_events_with_trials_leads_where_the_ledger_cannot_follow(template):
    bounds = settings(
        max_examples=8,
        stateful_step_count=15,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    run_state_machine_as_test(Trials, settings=bounds)


def test_a_held_challenger_is_tried_by_the_rules_of_its_decision(tried):
    (trial,) = tried.canaries.open(MODEL)
    assert (trial.decision_id, trial.champion, trial.challenger) == (2, 1, 2)
    assert trial.rules.within == WITHIN
    assert tried.judge_trials() == ()
    assert crowned(tried) == [1]


@pytest.mark.parametrize(
    ("challenger", "kind", "outcome", "champion"),
    [(FINE, PROMOTE, Ended.PROMOTED, 2), (BAD, REJECT, Ended.ROLLED_BACK, 1)],
)
def test_a_verdict_is_an_answer_with_its_checks(tried, challenger, kind, outcome, champion):
    tried.count(challenger)
    (entry,) = tried.judge_trials()
    assert (entry.kind, entry.cause, entry.resolves, entry.decided_by) == (kind, Cause.CANARY, 2, "evergreen")
    assert "canary_error_increase" in [check.name for check in entry.checks]
    assert (tried.champion, crowned(tried)[-1], outcomes(tried)) == (champion, champion, [outcome])
    assert tried.registry.aliases(MODEL) == {"champion": champion}
    assert tried.judge_trials() == ()


@pytest.mark.parametrize(
    ("point", "challenger"), [*((point, FINE) for point in POINTS), ("before record", BAD), ("after record", BAD)]
)
def test_a_verdict_that_is_cut_short_is_finished_by_who_comes_next(tried, point, challenger):
    tried.count(challenger)
    tried.advance(kill=point)
    tried.judge_trials()
    assert tried.judge_trials() == ()
    assert (crowned(tried), outcomes(tried)) == (
        ([1, 2], [Ended.PROMOTED]) if challenger is FINE else ([1], [Ended.ROLLED_BACK])
    )
    assert len(tried.ledger.entries(MODEL)) == 3
    assert tried.ledger.verify() == ()


def test_of_two_who_judge_at_once_one_answers(tried):
    tried.count(FINE)
    second = []
    tried.met, tried.act = ("before record", "another"), lambda other: second.append(tried.judge_trials())
    assert tried.judge_trials() == ()
    assert [entry.kind for entry in second[0]] == [PROMOTE]
    assert crowned(tried) == [1, 2]
    assert len(tried.ledger.entries(MODEL)) == 3


def test_a_challenger_that_fails_its_smoke_test_on_the_day_is_rejected(tried):
    tried.count(FINE)
    tried.sound = False
    (entry,) = tried.judge_trials()
    assert (entry.kind, outcomes(tried), crowned(tried)) == (REJECT, [Ended.ROLLED_BACK], [1])
    assert entry.reasons[0] == "the canary of decision 2 met every condition"


@pytest.mark.parametrize("challenger", [None, FEW])
def test_time_ends_a_trial_and_the_champion_stays(tried, challenger):
    if challenger:
        tried.count(challenger)
    tried.wait()
    (entry,) = tried.judge_trials()
    assert (entry.kind, entry.cause, entry.resolves) == (REJECT, Cause.TIMEOUT, 2)
    assert (outcomes(tried), crowned(tried)) == ([Ended.TIMED_OUT], [1])


def test_what_time_ends_may_be_left_to_a_person_who_has_time_from_then_on(tried):
    tried.try_challenger(on_timeout="hold")
    tried.wait()
    assert tried.judge_trials() == ()
    assert outcomes(tried) == [Ended.OVERTAKEN, Ended.TIMED_OUT]
    ended = tried.now
    assert answer.expire(tried.home, ended + timedelta(hours=11), {MODEL: timedelta(hours=12)}) == ()
    (late,) = answer.expire(tried.home, ended + timedelta(hours=12), {MODEL: timedelta(hours=12)})
    assert (late.resolves, late.cause) == (3, Cause.TIMEOUT)


def test_a_trial_is_not_a_question_that_nobody_answers(tried):
    assert answer.expire(tried.home, tried.now + timedelta(days=30), {MODEL: timedelta(hours=1)}) == ()


@pytest.mark.parametrize(("say", "champion"), [(answer.approve, 2), (answer.reject, 1)])
def test_a_person_may_answer_first(tried, say, champion):
    say(2, "eva", "I know", tried.home, tried.now)
    tried.count(BAD)
    assert tried.judge_trials() == ()
    assert (outcomes(tried), crowned(tried)[-1]) == ([Ended.ANSWERED], champion)
    with pytest.raises(UserError, match="is answered already"):
        answer.approve(2, "tom", "so do I", tried.home, tried.now)


def test_a_newer_training_overtakes_a_trial(tried):
    tried.try_challenger()
    assert [trial.decision_id for trial in tried.canaries.open(MODEL)] == [3]
    assert outcomes(tried) == [Ended.OVERTAKEN, None]
    tried.count(FINE)
    assert [entry.resolves for entry in tried.judge_trials()] == [3]


def test_another_champion_ends_a_trial_against_the_one_before(people_with_trial):
    machine = people_with_trial
    machine.count(FINE)
    go_back(machine)
    assert machine.canaries.open(MODEL) == ()
    assert outcomes(machine) == [Ended.WITHDRAWN]
    assert machine.judge_trials() == ()
    assert machine.champion == 1


@pytest.fixture
def people_with_trial(template):
    """Version 2 is champion after version 1, and version 3 is tried."""
    machine = Trials()
    machine.begin(crowned=True)
    promote_next(machine)
    machine.try_challenger()
    yield machine
    machine.teardown()


def test_a_pin_keeps_the_champion_and_the_trial_goes_on_until_its_time_is_over(tried):
    tried.set_pin()
    tried.count(FINE)
    assert tried.judge_trials() == ()
    assert outcomes(tried) == [None]
    Pins(tried.home.store_url).unpin(MODEL, "eva", "done", tried.now)
    assert [entry.kind for entry in tried.judge_trials()] == [PROMOTE]


def test_a_pin_that_outlasts_the_trial_ends_it(tried):
    tried.set_pin()
    tried.count(FINE)
    tried.wait()
    assert [(entry.kind, entry.cause) for entry in tried.judge_trials()] == [(REJECT, Cause.TIMEOUT)]


def test_an_alias_moved_by_hand_ends_the_trial_and_leaves_the_rest_to_a_person(people_with_trial):
    machine = people_with_trial
    machine.count(FINE)
    machine.registry.alias["champion"] = 1
    with pytest.raises(Exception, match="compared its challenger with version 2"):
        machine.judge_trials()
    assert outcomes(machine) == [Ended.WITHDRAWN]
    assert machine.judge_trials() == ()


@pytest.fixture
def watched(tried):
    """Version 2 stood its trial, and its promotion is watched for a day."""
    tried.try_challenger(watch=timedelta(days=1))
    tried.count(FINE)
    assert [entry.version for entry in tried.judge_trials()] == [3]
    return tried


def count_watched(machine, totals):
    (trial,) = machine.canaries.watched(machine.now, MODEL)
    machine.canaries.observe(trial.decision_id, "watched", "a", totals, machine.now)


@pytest.mark.parametrize("point", [None, "after record", "after alias", "after crown"])
def test_a_promotion_that_breaks_a_condition_while_it_is_watched_is_gone_back_from_once(watched, point):
    count_watched(watched, BAD)
    watched.advance(kill=point)
    watched.judge_trials()
    assert watched.judge_trials() == ()
    assert crowned(watched) == [1, 3, 1]
    back = watched.ledger.entries(MODEL)[0]
    assert (back.cause, back.decided_by, back.champion_before) == (Cause.WATCH, "evergreen", 3)
    assert "since the canary of decision 3 was promoted, 500 of 1,000 requests failed" in back.reasons[0]
    assert len(watched.ledger.entries(MODEL)) == 5


def test_what_goes_well_or_is_watched_no_more_stays(watched):
    count_watched(watched, FINE)
    assert watched.judge_trials() == ()
    count_watched(watched, BAD)
    watched.now += timedelta(days=1)
    assert watched.judge_trials() == ()
    assert crowned(watched) == [1, 3]


def test_a_pin_keeps_what_is_watched(watched):
    count_watched(watched, BAD)
    watched.set_pin()
    assert watched.judge_trials() == ()
    assert crowned(watched) == [1, 3]
    watched.take_off_pin()
    assert [entry.cause for entry in watched.judge_trials()] == [Cause.WATCH]


def pin_it(machine):
    Pins(machine.home.store_url).pin(MODEL, "tom", "audit", machine.now)


@pytest.mark.parametrize("when", ["during its smoke test", "after it died before the alias"])
def test_the_watch_does_not_cross_a_pin_that_has_returned(watched, when):
    count_watched(watched, BAD)
    if when == "during its smoke test":
        watched.meanwhile = lambda: pin_it(watched)
    else:
        watched.advance(kill="after record")
        pin_it(watched)
    assert watched.judge_trials() == ()
    assert (watched.champion, crowned(watched)) == (3, [1, 3])
    newest = watched.ledger.entries(MODEL)[0]
    assert (newest.kind, newest.cause) == (HOLD, Cause.RECONCILE)
    assert watched.judge_trials() == ()
    assert watched.ledger.entries(MODEL)[0] == newest, "it is withdrawn once, and not asked again while it is pinned"
    watched.take_off_pin()
    assert [entry.cause for entry in watched.judge_trials()] == [Cause.WATCH]


@pytest.mark.parametrize("when", ["before it looks", "during its smoke test"])
def test_the_watch_leaves_an_alias_that_somebody_moved_by_hand(watched, when):
    count_watched(watched, BAD)
    if when == "before it looks":
        watched.move(2)
    else:
        watched.meanwhile = lambda: watched.move(2)
    assert watched.judge_trials() == ()
    assert (watched.champion, crowned(watched)) == (2, [1, 3])


@pytest.mark.parametrize("who", ["the counts", "a person"])
def test_a_training_that_is_decided_on_during_the_smoke_test_overtakes_the_answer(tried, who):
    tried.start_run(mode="approval", checks=[])
    tried.count(FINE)
    tried.meanwhile = lambda: tried.record(*tried.runs.pop())
    if who == "the counts":
        assert tried.judge_trials() == ()
    else:
        with pytest.raises(AlreadyDecided, match="decision 2 was overtaken by decision 3, which knew newer data"):
            answer.approve(2, "eva", "fine", tried.home, tried.now)
    assert (outcomes(tried), crowned(tried)) == ([Ended.OVERTAKEN], [1])
    assert [entry.id for entry in tried.ledger.pending(MODEL)] == [3]


def test_a_challenger_that_is_adopted_was_not_promoted_by_its_trial(tried):
    tried.try_challenger(watch=timedelta(days=1))
    tried.count(BAD)
    tried.policy = "adopt"
    tried.move(3)
    tried.settle()
    assert (crowned(tried), outcomes(tried)) == ([1, 3], [Ended.OVERTAKEN, Ended.ANSWERED])
    assert tried.canaries.watched(tried.now) == ()


def test_a_champion_that_followed_is_not_blamed(watched):
    count_watched(watched, BAD)
    promote_next(watched)
    assert watched.canaries.watched(watched.now) == ()
    assert watched.judge_trials() == ()
