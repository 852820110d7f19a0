"""What a window asks for: a table for the rules, laws for what must never be."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.checks import Outcome
from evergreen.gate.decision import Reason
from evergreen.monitoring.policy import Judged, Reign, decide
from evergreen.monitoring.realised import copied
from evergreen.spec.monitoring import MonitoringRules
from evergreen.store.window import Signal, SignalKind, Verdict, Window

NOW = datetime(2026, 11, 16, 6, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RULES = MonitoringRules()
REIGN = Reign(3, NOW - 100 * DAY)
BOTH = (SignalKind.INPUT_DRIFT, SignalKind.PREDICTION_DRIFT)
ESTIMATE, REALISED, FAULTS = (SignalKind.ESTIMATE,), (SignalKind.REALISED,), (SignalKind.FAULTS,)
INPUT = (SignalKind.INPUT_DRIFT,)
QUIET, ALERT, LABELS, RETRAIN = Verdict.QUIET, Verdict.ALERT, Verdict.LABELS, Verdict.RETRAIN
DRIFT, PERFORMANCE = Reason.DRIFT, Reason.PERFORMANCE


def signals(*raised: SignalKind) -> tuple[Signal, ...]:
    """Every signal, these of them raised."""
    outcomes = {kind: Outcome.FAIL if kind in raised else Outcome.PASS for kind in SignalKind}
    return tuple(Signal(kind, outcome, f"{kind.value} is {outcome}") for kind, outcome in outcomes.items())


def window(ago: int, *raised: SignalKind, version: int = 3, verdict: Verdict = QUIET, event: str = "") -> Window:
    """A window so many hours ago."""
    until = NOW - ago * HOUR
    return Window("churn", version, until - HOUR, until, until, 700, 0, signals(*raised), verdict, (), event)


def judge(*raised: SignalKind, earlier=(), asked=(), rules: MonitoringRules = RULES) -> Judged:
    past = [window(len(earlier) - place, *kinds) for place, kinds in enumerate(earlier)]
    return decide(signals(*raised), past, rules, asked, NOW, REIGN)


def rules(**parts) -> MonitoringRules:
    return MonitoringRules.model_validate(parts)


# What was raised in earlier windows, oldest first, and in the newest one; the defaults want two of three.
TABLE = [
    ("nothing", [], (), QUIET, None),
    ("a loss over its bound is enough once", [], REALISED, RETRAIN, PERFORMANCE),
    ("an estimate alone", [], ESTIMATE, QUIET, None),
    ("an estimate again", [ESTIMATE], ESTIMATE, LABELS, None),
    ("an estimate that was before", [ESTIMATE, ()], ESTIMATE, LABELS, None),
    ("an estimate that was long before", [ESTIMATE, (), ()], ESTIMATE, QUIET, None),
    ("an estimate that is over", [ESTIMATE, ESTIMATE], (), QUIET, None),
    ("drift of both, once", [], BOTH, QUIET, None),
    ("drift of both, twice", [BOTH], BOTH, RETRAIN, DRIFT),
    ("drift of both, and then of inputs", [BOTH, BOTH], INPUT, ALERT, None),
    ("drift of inputs, twice", [INPUT], INPUT, QUIET, None),
    ("drift of inputs, always", [INPUT, INPUT], INPUT, ALERT, None),
    ("drift of inputs, and then of both", [INPUT, INPUT], BOTH, ALERT, None),
    ("faults", [], FAULTS, Verdict.QUARANTINE, None),
    ("faults, whatever else is seen", [BOTH, BOTH], (*FAULTS, *BOTH, *REALISED), Verdict.QUARANTINE, None),
    ("a loss, whatever else is seen", [BOTH, ESTIMATE], (*BOTH, *ESTIMATE, *REALISED), RETRAIN, PERFORMANCE),
    ("errors", [], (SignalKind.ERRORS,), ALERT, None),
    ("latency", [], (SignalKind.LATENCY,), ALERT, None),
    ("skew", [], (SignalKind.SKEW,), ALERT, None),
    ("a rush of rows", [], (SignalKind.VOLUME,), ALERT, None),
    ("old age", [], (SignalKind.AGE,), ALERT, None),
    ("health beside a loss", [], (SignalKind.LATENCY, *REALISED), RETRAIN, PERFORMANCE),
]


@pytest.mark.parametrize(
    ("earlier", "raised", "verdict", "retrain"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE]
)
def test_what_follows(earlier, raised, verdict, retrain):
    judged = judge(*raised, earlier=earlier)
    assert (judged.verdict, judged.retrain) == (verdict, retrain)
    assert judged.reasons


@pytest.mark.parametrize(
    ("part", "then", "raised", "verdict"),
    [
        ("realised", "alert", REALISED, ALERT),
        ("estimate", "retrain", ESTIMATE, RETRAIN),
        ("estimate", "alert", ESTIMATE, ALERT),
        ("drift", "alert", BOTH, ALERT),
    ],
)
def test_the_spec_says_what_is_done(part, then, raised, verdict):
    assert judge(*raised, earlier=[raised, raised], rules=rules(**{part: {"then": then}})).verdict is verdict


def labelled(labels=300, loss=0.1, ago=1, outcome=Outcome.PASS, **details) -> Signal:
    """A realised loss whose newest labels are of rows that were answered so many hours ago, and later."""
    newest = {"labels": labels, "loss": loss, "answered_since": (NOW - ago * HOUR).isoformat()}
    return Signal(SignalKind.REALISED, outcome, "the loss", loss, 0.2, details={"newest": newest, **details})


@pytest.mark.parametrize(
    ("realised", "more", "verdict"),
    [
        (labelled(), (), ALERT),
        (labelled(labels=199), (), RETRAIN),
        (labelled(loss=0.21), (), RETRAIN),
        (labelled(ago=3), (), RETRAIN),
        (labelled(copied=True), (), RETRAIN),
        (labelled(outcome=Outcome.UNKNOWN), (), RETRAIN),
        (labelled(), ESTIMATE, RETRAIN),
    ],
    ids=["labels show no harm", "too few", "a loss over its bound", "of rows before they moved", "no news", "unknown",
         "the estimate says otherwise"],
)  # fmt: skip
def test_what_moved_without_harm_is_told_and_not_retrained_for(realised, more, verdict):
    found = [signal for signal in signals(*BOTH, *more) if signal.kind is not SignalKind.REALISED]
    judged = decide([*found, realised], [window(1, *BOTH)], RULES, [], NOW, REIGN)
    assert judged.verdict is verdict
    assert any("without harm: the loss on their 300 labels is 0.1" in why for why in judged.reasons) is (
        verdict is ALERT
    )


def test_windows_of_another_champion_and_windows_in_quarantine_say_nothing():
    before = [window(2, *BOTH, version=2), window(1, *BOTH, *FAULTS, verdict=Verdict.QUARANTINE)]
    assert decide(signals(*BOTH), before, RULES, [], NOW, REIGN).verdict is QUIET
    ours = [window(4, *BOTH), *before]
    assert decide(signals(*BOTH), ours, RULES, [], NOW, REIGN).verdict is RETRAIN


def test_a_version_that_was_rolled_back_to_begins_anew():
    before = [window(5, *BOTH), window(3, version=4)]
    assert decide(signals(*BOTH), before, RULES, [], NOW, REIGN).verdict is RETRAIN
    assert decide(signals(*BOTH), before, RULES, [], NOW, Reign(3, NOW - 2 * HOUR)).verdict is QUIET
    ours = [*before, window(1, *BOTH)]
    assert decide(signals(*BOTH), ours, RULES, [], NOW, Reign(3, NOW - 2 * HOUR)).verdict is RETRAIN


UNSEEN = {"column": "plan", "what": "unseen", "raised": True}
NULLS = {"column": "price", "what": "null", "raised": True}


@pytest.mark.parametrize(
    ("columns", "verdict"),
    [([UNSEEN], ALERT), ([NULLS], Verdict.QUARANTINE), ([UNSEEN, {**NULLS, "raised": False}], ALERT)],
)
def test_nulls_are_a_broken_feed_and_new_categories_are_not(columns, verdict):
    seen = Signal(SignalKind.UNSEEN, Outcome.FAIL, "more than before", details={"columns": columns})
    assert decide([*signals()[4:], seen], [], RULES, [], NOW).verdict is verdict


def test_where_nothing_can_be_told_that_is_said():
    unknown = [Signal(kind, Outcome.UNKNOWN, "12 rows came, 500 are needed") for kind in SignalKind]
    judged = decide(unknown, [], RULES, [], NOW)
    assert (judged.verdict, judged.reasons) == (Verdict.UNKNOWN, ("12 rows came, 500 are needed",))


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ([NOW - 23 * HOUR], "monitoring.cooldown is 1d"),
        ([NOW - days * DAY for days in (2, 9, 16, 29)], "monitoring.budget is 4"),
        ([NOW - days * DAY for days in (2, 9, 16, 31)], ""),
        ([NOW - DAY], ""),
    ],
)
def test_no_retraining_is_asked_for_too_soon_nor_too_often(asked, why):
    judged = judge(*REALISED, asked=asked)
    assert judged.verdict is (ALERT if why else RETRAIN)
    assert why in judged.reasons[-1]
    assert "realised loss is FAIL" in judged.reasons[0]


def test_the_same_is_told_once_a_cooldown_and_more_at_once():
    known = [window(3, SignalKind.LATENCY, verdict=ALERT, event="alert:churn:1")]
    assert not decide(signals(SignalKind.LATENCY), known, RULES, [], NOW).told
    assert decide(signals(SignalKind.LATENCY, SignalKind.ERRORS), known, RULES, [], NOW).told
    assert decide(signals(SignalKind.LATENCY), known, RULES, [], NOW + DAY).told
    assert decide(signals(*FAULTS), known, RULES, [], NOW).told
    # Who was told that it is retrained need not be told for each window that it still would be.
    asked = [window(3, *REALISED, verdict=RETRAIN, event="performance:churn:1")]
    assert not decide(signals(*REALISED), asked, RULES, [NOW - 3 * HOUR], NOW).told


def copied_loss(outcome: Outcome = Outcome.FAIL) -> tuple[Signal, ...]:
    """A realised loss of an earlier window, where no label is new; of the rest nothing is known."""
    loss = copied(Signal(SignalKind.REALISED, outcome, "0.2 on 400 labels"))
    return (*(Signal(kind, Outcome.UNKNOWN, "0 rows came, 500 are needed") for kind in BOTH), loss)


def test_a_loss_that_was_asked_for_once_is_told_and_not_asked_for_again_until_a_label_is_new():
    asked = [window(50, *REALISED, verdict=RETRAIN), window(49, *REALISED, verdict=ALERT)]
    judged = decide(copied_loss(), asked, RULES, [NOW - 50 * HOUR], NOW, REIGN)
    assert (judged.verdict, judged.retrain, judged.told) == (ALERT, None, True)
    assert "no label is new since" in judged.reasons[0]
    assert decide(signals(*REALISED), asked, RULES, [NOW - 50 * HOUR], NOW, REIGN).verdict is RETRAIN
    assert decide(copied_loss(), [], RULES, [], NOW, REIGN).verdict is ALERT


def test_a_loss_whose_retraining_was_refused_is_asked_for_once_it_may_be():
    refused = [window(3, *REALISED, verdict=ALERT)]
    assert decide(copied_loss(), refused, RULES, [NOW - 5 * HOUR], NOW, REIGN).verdict is ALERT
    assert decide(copied_loss(), refused, RULES, [NOW - 25 * HOUR], NOW, REIGN).verdict is RETRAIN


def test_what_is_copied_tells_nothing_of_an_empty_window():
    judged = decide(copied_loss(outcome=Outcome.PASS), [window(1)], RULES, [], NOW, REIGN)
    assert (judged.verdict, judged.reasons) == (Verdict.UNKNOWN, ("0 rows came, 500 are needed",))


kinds = st.lists(st.sampled_from(list(SignalKind)), unique=True, max_size=5)
moments = st.lists(st.integers(0, 60 * 24).map(lambda hours: NOW - hours * HOUR), max_size=8)
outcomes = st.fixed_dictionaries({kind: st.sampled_from(list(Outcome)) for kind in SignalKind})


@given(outcomes, st.lists(kinds, max_size=5), moments, st.sampled_from(["retrain", "labels", "alert"]))
def test_what_never_happens(found, before, asked, then):
    rule = rules(estimate={"then": then})
    seen = [Signal(kind, outcome, "so") for kind, outcome in found.items()]
    past = [window(len(before) - place, *raised) for place, raised in enumerate(before)]
    judged = decide(seen, past, rule, asked, NOW, REIGN)
    raised = {kind for kind, outcome in found.items() if outcome is Outcome.FAIL}
    assert (judged.retrain is not None) == (judged.verdict is RETRAIN)
    assert judged.reasons
    assert all(reason[0].isupper() for reason in judged.reasons if reason != "so")
    if SignalKind.FAULTS in raised:
        assert judged.verdict is Verdict.QUARANTINE
    if judged.verdict is RETRAIN:
        # Not without evidence, not for unknowns, not too soon and not too often.
        assert set(REALISED) <= raised or set(ESTIMATE) <= raised or set(BOTH) <= raised
        assert all(at <= NOW - rule.cooldown for at in asked)
        assert sum(at > NOW - 30 * DAY for at in asked) < rule.budget
        assert judged.told
    if judged.told:
        assert judged.verdict not in (QUIET, Verdict.UNKNOWN)
    if not raised:
        assert judged.verdict in (QUIET, Verdict.UNKNOWN)
