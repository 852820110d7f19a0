"""Concept drift is told from data drift and from other shares of the outcomes, in words."""

from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import pandas as pd
import pytest

from evergreen.checks import Outcome
from evergreen.monitoring.concept import Shift, explain, tell
from evergreen.monitoring.estimate import estimate_loss, fit_estimator
from evergreen.monitoring.expectation import reweigh
from evergreen.monitoring.realised import Labelling, realised_loss
from evergreen.spec.monitoring import RealisedRules
from evergreen.store.window import Signal, SignalKind, Verdict, Window
from tests.monitoring.worlds import answered, inputs_of, leavers, prices

END = datetime(2026, 1, 1, tzinfo=UTC)


def window(*signals, until=END, version=1):
    since = until - timedelta(hours=1)
    return Window("churn", version, since, until, until, 1_000, 0, signals, Verdict.QUIET, ())


def moved(yes):
    return Signal(SignalKind.INPUT_DRIFT, Outcome.FAIL if yes else Outcome.PASS, "")


def watched(world, metric, newest=1_000, drifted=False):
    """The window of the newest rows, with all labels that are in."""
    estimator, rows = fit_estimator(world.baseline, metric), pd.concat([world.before, world.after])
    answers = answered(world, rows)
    expectation = estimator.expectation(inputs_of(rows), answers)
    labelling = Labelling(len(rows), expectation=expectation)
    real = realised_loss(answers, world.baseline.losses[metric], RealisedRules(), metric, labelling)
    last = rows.iloc[-newest:]
    return window(estimate_loss(estimator, inputs_of(last), answered(world, last)), real, moved(drifted))


@cache
def leaving(drift):
    return watched(leavers(drift), "brier", drifted=drift == "covariate")


@pytest.mark.parametrize(
    ("drift", "shift", "said"),
    [
        ("none", Shift.NONE, "Nothing moved that matters"),
        ("covariate", Shift.DATA, "The rows changed, the rule behind them did not"),
        ("concept", Shift.CONCEPT, "The rule behind the data changed: the rows are much as before"),
        ("prior", Shift.PRIOR, "became more frequent: 'Yes' came true of 63%, and of 44%"),
    ],
)
def test_each_kind_of_drift_is_told_by_its_name(drift, shift, said):
    found = leaving(drift)
    assert tell(found) is shift
    assert said in explain(found)


def test_only_the_rule_that_changed_raises_the_realised_loss():
    raised = {drift: leaving(drift).raised(SignalKind.REALISED) for drift in ("none", "covariate", "concept", "prior")}
    assert raised == {"none": False, "covariate": False, "concept": True, "prior": False}


def test_harder_rows_are_told_from_another_rule_for_numbers_too():
    found = watched(prices(), "mae", drifted=True)
    assert found.raised(SignalKind.REALISED)
    assert found.raised(SignalKind.ESTIMATE)
    assert tell(found) is Shift.DATA
    assert "kinds that it was always worse at" in explain(found)


def test_rows_that_changed_with_a_loss_that_they_do_not_explain_leave_both_open():
    concept = leaving("concept")
    both = window(*(signal for signal in concept.signals if signal.kind is not SignalKind.INPUT_DRIFT), moved(True))
    assert tell(both) is Shift.BOTH
    assert "Either the rule behind the data changed as well" in explain(both)


def test_it_says_how_much_and_since_when():
    text = explain(leaving("concept"))
    assert "brier" in text
    assert "(100% of all have a label)" in text
    since = datetime.fromisoformat(leaving("concept").signal(SignalKind.REALISED).details["since"])
    assert abs(since - datetime(2025, 10, 1, tzinfo=UTC)) < timedelta(days=5)
    assert text.endswith(f"since {since:%Y-%m-%d %H:%M} UTC.")


def estimate(raised):
    return Signal(SignalKind.ESTIMATE, Outcome.FAIL if raised else Outcome.PASS, "", 0.2, 0.15)


@pytest.mark.parametrize(
    ("signals", "said"),
    [
        ((estimate(True), moved(True)), "it is less sure of its answers"),
        ((estimate(False), moved(True)), "its answers should be as good on them as before"),
        ((estimate(False), moved(False)), "The rows look as they did when the model was trained"),
        ((moved(True),), "others than those that the model learnt from."),
    ],
)
def test_without_labels_it_says_what_cannot_be_told(signals, said):
    found = window(*signals)
    assert tell(found) is Shift.UNKNOWN
    assert said in explain(found)
    assert "cannot be told before labels are in" in explain(found)


def test_labels_without_an_estimate_are_not_split():
    real = Signal(SignalKind.REALISED, Outcome.FAIL, "", 0.3, 0.2, details={"metric": "mae", "holdout": 0.1})
    assert "cannot be told apart, as there is no estimate" in explain(window(real, moved(False)))
    assert "The mean distance of its answers from the truth is 0.3" in explain(window(real))


def test_a_signal_that_stays_is_counted_over_the_windows_of_this_champion():
    hours = [window(estimate(True), until=END - timedelta(hours=back)) for back in (1, 2)]
    calm = window(estimate(False), until=END - timedelta(hours=3))
    other = window(estimate(True), until=END - timedelta(hours=4), version=9)
    text = explain(window(estimate(True)), [*hours, other, calm])
    assert "raised for 3 windows, since 2025-12-31 21:00 UTC" in text
    assert "windows" not in explain(window(estimate(True)), [calm])


def test_a_window_in_which_nothing_was_measured_has_nothing_to_explain():
    assert explain(window()) == ""


def test_new_shares_of_the_same_classes_are_known_exactly():
    draw = np.random.default_rng(0)
    # Two normal classes, whose chances are known under any shares.
    value = np.where(draw.random(2_000) < 0.7, draw.normal(1, 1, 2_000), draw.normal(-1, 1, 2_000))

    def chances(share):
        ratio = share / (1 - share) * np.exp(2 * value)
        return np.column_stack([1 / (1 + ratio), ratio / (1 + ratio)])

    np.testing.assert_allclose(reweigh(chances(0.3), [0.7, 0.3], [0.3, 0.7]), chances(0.7), atol=1e-12)
