from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.checks import Check, Outcome
from evergreen.evaluation.result import Comparison, Evaluation, Flips, ModelScore, SliceScore
from evergreen.gate.decision import DecisionKind
from evergreen.gate.judge import decide, hold_for_data, hold_for_drift, judge, skip
from evergreen.spec.rules import AgainstChampion, Bound, Gates, SliceRules

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN

FIRST = Evaluation(
    metric="accuracy",
    greater_is_better=True,
    rows=1000,
    challenger=ModelScore({"accuracy": 0.9, "roc_auc": None}, latency_p95_ms=5.0, size_mb=1.0),
    dummy=0.6,
    cross_validated=0.92,
    comparison_note="no champion yet",
)
SECOND = replace(FIRST, champion=ModelScore({"accuracy": 0.8}), champion_version=3, comparison_note="")


def compared(difference: float, lower: float, upper: float, margin: float = 0.0, **parts) -> Evaluation:
    found = Comparison("accuracy", 0.8 + difference, 0.8, difference, lower, upper, margin, 0.95, 1000, **parts)
    return replace(SECOND, comparison=found)


def only(evaluation: Evaluation, gates: Gates, name: str) -> Check:
    (found,) = [check for check in judge(evaluation, gates) if check.name == name]
    return found


@pytest.mark.parametrize(
    ("name", "bound", "outcome"),
    [
        ("accuracy", Bound(at_least=0.9), PASS),
        ("accuracy", Bound(at_least=0.91), FAIL),
        ("accuracy", Bound(at_most=0.89), FAIL),
        ("latency_p95_ms", Bound(at_most=5), PASS),
        ("latency_p95_ms", Bound(at_most=4.9), FAIL),
        ("size_mb", Bound(at_most=0.5), FAIL),
        ("roc_auc", Bound(at_least=0.1), UNKNOWN),
        ("no_such_metric", Bound(at_least=0.1), UNKNOWN),
    ],
)
def test_an_absolute_bound_is_met_broken_or_cannot_be_told(name, bound, outcome):
    assert only(FIRST, Gates(absolute={name: bound}), name).outcome is outcome


def test_a_floor_and_a_ceiling_are_two_checks():
    checks = judge(FIRST, Gates(absolute={"accuracy": Bound(at_least=0.5, at_most=0.8)}, beat_dummy=False))
    assert [(check.bound, check.outcome) for check in checks] == [("≥ 0.5", PASS), ("≤ 0.8", FAIL)]


@pytest.mark.parametrize(
    ("difference", "lower", "upper", "margin", "outcome"),
    [
        (0.02, 0.01, 0.03, 0.0, PASS),  # better
        (0.0, 0.0, 0.0, 0.0, PASS),  # an equal twin
        (-0.002, -0.004, 0.001, 0.005, PASS),  # hardly worse, within the margin
        (0.8 - 0.9, 0.8 - 0.9, 0.0, 0.1, PASS),  # on the margin, but for rounding
        (0.001, -0.01, 0.012, 0.005, UNKNOWN),  # no worse as far as one can see, and one cannot see far
        (-0.02, -0.03, -0.01, 0.005, FAIL),  # worse for certain
        (-0.02, -0.05, 0.01, 0.005, FAIL),  # worse, perhaps by chance: no reason to promote
    ],
)
def test_against_the_champion_the_lower_end_of_the_interval_passes(difference, lower, upper, margin, outcome):
    gates = Gates(against_champion=AgainstChampion(metric="accuracy"))
    assert only(compared(difference, lower, upper, margin), gates, "against_champion").outcome is outcome


def test_an_undecided_comparison_names_the_rows_that_would_decide():
    gates = Gates(against_champion=AgainstChampion(metric="accuracy"))
    check = only(compared(0.001, -0.01, 0.012, rows_to_decide=12345), gates, "against_champion")
    assert "12,345" in check.why


@pytest.mark.parametrize(
    ("evaluation", "outcome", "why"),
    [
        (FIRST, PASS, "no champion yet"),
        (
            replace(
                SECOND, champion_saw_holdout=True, comparison_note="the champion was trained on rows of this holdout"
            ),
            UNKNOWN,
            "trained on rows",
        ),
        (replace(SECOND, comparison_note="accuracy cannot be computed"), UNKNOWN, "cannot be computed"),
    ],
)
@pytest.mark.parametrize("name", ["against_champion", "slices", "negative_flips", "churn"])
def test_without_a_fair_champion_relative_checks_say_why(evaluation, outcome, why, name):
    gates = Gates(
        against_champion=AgainstChampion(metric="accuracy"),
        slices=SliceRules(by=("region",)),
        max_negative_flips=0.1,
        max_churn=0.1,
    )
    check = only(evaluation, gates, name)
    assert check.outcome is outcome
    if name != "slices":
        assert why in check.why


@pytest.mark.parametrize(
    ("metric_value", "dummy", "greater_is_better", "outcome"),
    [
        (0.9, 0.6, True, PASS),
        (0.6, 0.6, True, FAIL),
        (12.0, 15.0, False, PASS),
        (15.0, 12.0, False, FAIL),
        (None, 0.6, True, UNKNOWN),
        (0.9, None, True, UNKNOWN),
    ],
)
def test_the_challenger_must_beat_a_constant_answer(metric_value, dummy, greater_is_better, outcome):
    score = ModelScore({"accuracy": metric_value})
    evaluation = replace(FIRST, challenger=score, dummy=dummy, greater_is_better=greater_is_better)
    assert only(evaluation, Gates(), "beat_dummy").outcome is outcome


def a_slice(value: str, difference: float | None, *interval: float) -> SliceScore:
    challenger = None if difference is None else 0.8 + difference
    return SliceScore("region", value, 300, challenger, 0.8, difference, *interval)


@pytest.mark.parametrize(
    ("slices", "outcome", "named"),
    [
        ([a_slice("north", 0.1, 0.05, 0.15), a_slice("south", -0.02, -0.03, -0.015)], FAIL, "south"),
        ([a_slice("north", -0.005, -0.03, 0.02), a_slice("south", 0.01, -0.01, 0.03)], PASS, "north"),
        ([a_slice("north", -0.05, -0.12, 0.02)], PASS, "noise"),
        ([a_slice("north", -0.05)], UNKNOWN, "too few"),
        ([a_slice("north", None)], UNKNOWN, "no slice"),
        ([], UNKNOWN, "no slice"),
    ],
)
def test_a_slice_that_got_worse_than_its_margin_is_named(slices, outcome, named):
    evaluation = replace(compared(0.0, 0.0, 0.0), slices=tuple(slices))
    check = only(evaluation, Gates(slices=SliceRules(by=("region",), margin=0.01)), "slices")
    assert check.outcome is outcome
    assert named in check.why


@pytest.mark.parametrize(("most", "outcome"), [(0.03, PASS), (0.02, FAIL)])
def test_flips_and_churn_have_ceilings(most, outcome):
    evaluation = replace(SECOND, flips=Flips(negative=0.03, positive=0.01, churn=0.03))
    gates = Gates(max_negative_flips=most, max_churn=most)
    assert only(evaluation, gates, "negative_flips").outcome is outcome
    assert only(evaluation, gates, "churn").outcome is outcome


@pytest.mark.parametrize(
    ("promised", "greater_is_better", "outcome"),
    [(0.92, True, PASS), (0.99, True, FAIL), (0.80, True, PASS), (0.80, False, FAIL), (None, True, UNKNOWN)],
)
def test_a_holdout_worse_than_the_folds_promised_is_overfitting(promised, greater_is_better, outcome):
    evaluation = replace(FIRST, cross_validated=promised, greater_is_better=greater_is_better)
    assert only(evaluation, Gates(max_overfit_gap=0.05), "overfit_gap").outcome is outcome


def test_a_spec_without_an_absolute_or_relative_check_never_promotes():
    decision = decide(judge(FIRST, Gates()))
    assert decision.kind is DecisionKind.HOLD
    assert "no check configured" in decision.reasons[0]


RELATIVE = Gates(against_champion=AgainstChampion(metric="accuracy"), slices=SliceRules(by=("region",)), max_churn=0.1)


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        ({"beat_dummy": False}, DecisionKind.HOLD),
        ({"beat_dummy": False, "max_overfit_gap": 0.5}, DecisionKind.HOLD),
        ({"beat_dummy": True}, DecisionKind.PROMOTE),
        ({"beat_dummy": False, "absolute": {"accuracy": Bound(at_least=0.5)}}, DecisionKind.PROMOTE),
    ],
)
def test_a_first_challenger_of_which_nothing_was_asked_waits_for_a_person(asked, kind):
    decision = decide(judge(FIRST, RELATIVE.model_copy(update=asked)))
    assert decision.kind is kind
    assert kind is DecisionKind.PROMOTE or "gates.absolute" in decision.reasons[0]


gates = st.builds(
    Gates,
    absolute=st.dictionaries(st.just("accuracy"), st.just(Bound(at_least=0.5))),
    against_champion=st.none() | st.just(RELATIVE.against_champion),
    slices=st.none() | st.just(RELATIVE.slices),
    beat_dummy=st.booleans(),
    max_churn=st.none() | st.just(0.1),
    max_overfit_gap=st.none() | st.just(0.5),
)


@given(gates, st.sampled_from([FIRST, compared(0.02, 0.01, 0.03)]))
def test_a_promotion_rests_on_something_that_a_bad_challenger_would_have_failed(asked, evaluation):
    judged = judge(evaluation, asked)
    if decide(judged).kind is DecisionKind.PROMOTE:
        assert any(check.value is not None and check.name != "overfit_gap" for check in judged)


def checks(*outcomes: Outcome) -> list[Check]:
    return [Check(f"rule {at}", outcome, None, "≥ 1", "because") for at, outcome in enumerate(outcomes)]


@pytest.mark.parametrize(
    ("quality", "mode", "before", "kind"),
    [
        ([PASS, PASS], "automatic", [], DecisionKind.PROMOTE),
        ([PASS], "automatic", [PASS], DecisionKind.PROMOTE),
        ([PASS], "approval", [], DecisionKind.HOLD),
        ([PASS], "canary", [], DecisionKind.HOLD),
        ([PASS, FAIL], "automatic", [], DecisionKind.REJECT),
        ([PASS, FAIL, UNKNOWN], "approval", [], DecisionKind.REJECT),
        ([PASS, UNKNOWN], "automatic", [], DecisionKind.HOLD),
        ([PASS], "automatic", [FAIL], DecisionKind.HOLD),
        ([PASS], "automatic", [UNKNOWN], DecisionKind.HOLD),
        ([], "automatic", [PASS], DecisionKind.HOLD),
        ([], "automatic", [], DecisionKind.HOLD),
    ],
)
def test_outcomes_lead_to_a_decision(quality, mode, before, kind):
    assert decide(checks(*quality), mode, checks(*before)).kind is kind


outcomes = st.lists(st.sampled_from(Outcome), max_size=6)


@given(outcomes, outcomes, st.sampled_from([FAIL, UNKNOWN]), st.booleans())
def test_one_more_check_that_does_not_pass_never_turns_into_a_promotion(quality, before, bad, among_quality):
    worse = (checks(*quality, *([bad] * among_quality)), checks(*before, *([bad] * (not among_quality))))
    assert decide(worse[0], before=worse[1]).kind is not DecisionKind.PROMOTE


@given(outcomes, outcomes, st.sampled_from(["automatic", "approval", "canary"]))
def test_a_promotion_rests_on_passes_alone_and_on_one_quality_check_at_least(quality, before, mode):
    decision = decide(checks(*quality), mode, checks(*before))
    everything_passed = bool(quality) and set(quality) | set(before) == {PASS}
    assert (decision.kind is DecisionKind.PROMOTE) == (everything_passed and mode == "automatic")
    assert decision.reasons


def test_every_reason_names_the_check_and_why():
    assert decide(checks(PASS, FAIL)).reasons == ("rule 1: because (must be ≥ 1)",)


def test_a_run_that_stopped_early_says_what_stopped_it():
    broken = checks(PASS, FAIL)
    assert hold_for_data(broken).kind is hold_for_drift(broken).kind is DecisionKind.HOLD
    assert hold_for_data(broken).reasons == ("rule 1: because (must be ≥ 1)",)
    assert skip("nothing drifted").kind is DecisionKind.SKIP
