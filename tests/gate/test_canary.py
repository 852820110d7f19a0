"""A trial's counts: certain harm ends it at once, a promotion wants everything certain, and time ends the rest."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.checks import Outcome
from evergreen.evaluation.totals import Losses, Totals
from evergreen.gate.canary import Action, Arm, Observed, explain, judge_canary
from evergreen.spec.canary import CanaryQuality, CanaryRules

NOW = datetime(2026, 3, 2, tzinfo=UTC)
RULES = CanaryRules()
ERRORS = CanaryRules(max_latency_ratio=None)
PROMOTE, ROLL_BACK, KEEP_ON, END = Action.PROMOTE, Action.ROLL_BACK, Action.KEEP_ON, Action.END
ACCURACY = CanaryRules(
    max_error_increase=None, max_latency_ratio=None, quality=CanaryQuality(metric="accuracy", margin=0.02)
)
MAE = CanaryRules(max_error_increase=None, max_latency_ratio=None, quality=CanaryQuality(metric="mae", margin=0.1))


def counted(requests=0, errors=0, bucket=0, wrong=None, **parts):
    """Answers within a millisecond; of labelled ones, so many were wrong."""
    losses = Losses() if wrong is None else Losses(requests, wrong, wrong)
    return Totals(requests, errors, {bucket: requests} if requests else {}, losses, **parts)


def seen(champion, challenger):
    return Observed(7, Arm(1, champion), Arm(2, challenger), NOW)


@pytest.mark.parametrize(
    ("champion", "challenger", "rules", "action"),
    [
        (counted(), counted(), RULES, KEEP_ON),
        (counted(20_000, 20), counted(2_000, 2), RULES, PROMOTE),
        # Enough requests are wanted, however well they went.
        (counted(20_000), counted(999), RULES.model_copy(update={"max_error_increase": 0.2}), KEEP_ON),
        (counted(20_000), counted(1_000), RULES.model_copy(update={"max_error_increase": 0.2}), PROMOTE),
        # Certain harm ends it long before that; a few failures may be chance.
        (counted(1_000, 1), counted(40, 20), RULES, ROLL_BACK),
        (counted(1_000, 1), counted(40, 2), RULES, KEEP_ON),
        # As bad as the champion is no increase.
        (counted(90_000, 9_000), counted(90_000, 9_000), ERRORS, PROMOTE),
        (counted(90_000, 9_000), counted(90_000, 12_000), ERRORS, ROLL_BACK),
        (counted(5_000), counted(5_000, 500), CanaryRules(max_error_share=0.05, max_error_increase=None), ROLL_BACK),
        # Buckets are 9 % wide: 16 is four milliseconds.
        (counted(5_000), counted(5_000, bucket=16), RULES, ROLL_BACK),
        (counted(5_000), counted(5_000, bucket=6), RULES, PROMOTE),
        (counted(5_000), counted(5_000, bucket=8), RULES, KEEP_ON),
        (counted(5_000), Totals(5_000), RULES, KEEP_ON),
        # Wrong answers, unpaired.
        (counted(20_000, wrong=2_000), counted(20_000, wrong=2_000), ACCURACY, PROMOTE),
        (counted(20_000, wrong=2_000), counted(20_000, wrong=3_000), ACCURACY, ROLL_BACK),
        (counted(20_000, wrong=2_000), counted(1_000, wrong=110), ACCURACY, KEEP_ON),
        (counted(20_000), counted(20_000), ACCURACY, KEEP_ON),
    ],
)
def test_counts_come_to_a_verdict(champion, challenger, rules, action):
    assert judge_canary(seen(champion, challenger), rules, NOW).action is action


@pytest.mark.parametrize(
    ("rules", "gaps", "action"),
    [
        # Only what one of the two has wrong counts: two thousand requests say what as many unpaired ones would not.
        (ACCURACY, Losses(2_000, 0.0, 20.0), PROMOTE),
        (ACCURACY, Losses(2_000, 200.0, 200.0), ROLL_BACK),
        (ACCURACY, Losses(600, 6.0, 12.0), KEEP_ON),
        (ACCURACY, Losses(499, 400.0, 400.0), KEEP_ON),
        (MAE, Losses(2_000, 0.0, 200.0, 60.0), PROMOTE),
        (MAE, Losses(2_000, 600.0, 400.0, 240.0), ROLL_BACK),
        (MAE, Losses(600, 60.0, 400.0, 800.0), KEEP_ON),
        # Where nothing has differed yet, or hardly anything, nobody knows how much it will.
        (MAE, Losses.of([0.0] * 2_000), KEEP_ON),
        (MAE, Losses.of([0.0] * 2_000 + [1.0, -1.0] * 14), KEEP_ON),
        (MAE, Losses.of([0.0] * 2_000 + [1.0, -1.0] * 16), PROMOTE),
    ],
)
def test_requests_that_both_were_asked_are_compared_one_by_one(rules, gaps, action):
    both = counted(5_000, wrong=1_000)
    assert judge_canary(seen(both, replace(both, gaps=gaps)), rules, NOW).action is action


@pytest.mark.parametrize(
    ("champion", "challenger", "action"),
    [
        (counted(), counted(), END),
        (counted(20_000), counted(500), END),
        (counted(20_000, 20), counted(2_000, 2), PROMOTE),
        (counted(1_000), counted(40, 20), ROLL_BACK),
    ],
)
def test_time_ends_what_is_not_certain_and_nothing_else(champion, challenger, action):
    found = seen(champion, challenger)
    assert judge_canary(found, RULES, NOW + RULES.within - timedelta(seconds=1)).action in (action, KEEP_ON)
    assert judge_canary(found, RULES, NOW + RULES.within).action is action


@given(st.integers(0, 5_000), st.integers(0, 5_000), st.integers(0, 50), st.integers(0, 50), st.integers(0, 20))
def test_a_promotion_is_never_without_certainty_nor_a_rollback_without_harm(champion, challenger, failed, broken, slow):
    ours, theirs = counted(challenger, min(broken, challenger), slow), counted(champion, min(failed, champion))
    verdict = judge_canary(seen(theirs, ours), RULES, NOW)
    outcomes = {check.outcome for check in verdict.checks}
    assert (verdict.action is PROMOTE) == (outcomes == {Outcome.PASS})
    assert (verdict.action is ROLL_BACK) == (Outcome.FAIL in outcomes)
    if verdict.action is PROMOTE:
        assert min(champion, challenger) >= RULES.at_least
    assert all(check.why for check in verdict.checks)


@pytest.mark.parametrize(
    ("shares", "wrong"),
    [
        # Just above what is allowed, and just what is allowed: the hardest cases of either kind.
        ((0.02, 0.031), PROMOTE),
        ((0.02, 0.030), ROLL_BACK),
        ((0.02, 0.020), ROLL_BACK),
    ],
)
def test_looking_after_every_batch_leads_to_no_more_wrong_verdicts_than_promised(shares, wrong):
    draw, misled, trials = np.random.default_rng(4), 0, 25
    for _ in range(trials):
        champion, challenger = (draw.binomial(200, share, 25).cumsum() for share in shares)
        looks = (
            judge_canary(seen(counted(200 * n, int(a)), counted(200 * n, int(b))), ERRORS, NOW).action
            for n, (a, b) in enumerate(zip(champion, challenger, strict=True), start=1)
        )
        misled += wrong in looks
    assert misled / trials <= 1 - ERRORS.confidence


def test_a_verdict_says_in_words_what_it_rests_on():
    found = judge_canary(seen(counted(1_000, 1), counted(40, 20)), RULES, NOW)
    head, *reasons = explain(found, 7, RULES)
    assert head == "the canary of decision 7 broke a condition"
    assert len(reasons) == 1
    assert reasons[0].startswith("20 of 40 requests failed, with the champion 1 of 1,000 requests failed: +")
    assert reasons[0].endswith("(must be ≤ 0.01)")
    late = judge_canary(seen(counted(), counted()), RULES, NOW + RULES.within)
    assert explain(late, 7, RULES)[0] == "the canary of decision 7 came to no verdict within 5d"


@pytest.mark.parametrize(
    ("champion", "challenger", "requests", "action"),
    [
        (0, 0, 1_000, PROMOTE),
        (0.001, 0.001, 1_140, PROMOTE),
        (0.01, 0.01, 4_120, PROMOTE),
        (0.05, 0.05, 17_480, PROMOTE),
        (0.001, 0.5, 20, ROLL_BACK),
        (0.001, 0.1, 100, ROLL_BACK),
        (0.001, 0.03, 1_020, ROLL_BACK),
    ],
)
def test_a_verdict_takes_as_many_requests_as_the_guide_says(champion, challenger, requests, action):
    def after(count):
        theirs, ours = (round(share * n) for share, n in ((champion, 9 * count), (challenger, count)))
        return judge_canary(seen(counted(9 * count, theirs), counted(count, ours)), RULES, NOW).action

    assert (after(requests), after(requests // 2)) == (action, KEEP_ON)


@pytest.mark.parametrize(("right", "requests", "action"), [(0.9, 7_300, PROMOTE), (0.8, 520, ROLL_BACK)])
def test_a_verdict_on_accuracy_takes_as_many_labels_as_the_guide_says(right, requests, action):
    def after(count):
        theirs, ours = (round((1 - share) * n) for share, n in ((0.9, 9 * count), (right, count)))
        return judge_canary(seen(counted(9 * count, wrong=theirs), counted(count, wrong=ours)), ACCURACY, NOW).action

    assert (after(requests), after(requests // 2)) == (action, KEEP_ON)
