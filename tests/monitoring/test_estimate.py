"""The loss without labels: it stays in its band where nothing changed, and moves where the data did."""

import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from evergreen.checks import Outcome
from evergreen.evaluation.baseline import measure_baseline, row_losses
from evergreen.evaluation.predict import Answers, Holdout
from evergreen.monitoring.answered import loss_metric, read_answers
from evergreen.monitoring.estimate import estimate_loss, fit_estimator
from tests.monitoring.worlds import answered, inputs_of, leavers, prices


def sure(rows, seed, names=("no", "yes"), shift=0.0):
    """Rows of a model that knows its chances, and what came true of them."""
    draw = np.random.default_rng(seed)
    if len(names) == 2:
        yes = 1 / (1 + np.exp(-2 * draw.normal(shift, 1, rows)))
        chances = np.column_stack([1 - yes, yes])
    else:
        chances = draw.dirichlet(np.ones(len(names)) * (0.5 + shift), rows)
    came = (chances.cumsum(axis=1) > draw.random(rows)[:, None]).argmax(axis=1)
    classes = np.array(names, dtype=object)
    return Answers(classes[chances.argmax(axis=1)], chances, names), pd.Series(classes[came])


def fitted(rows, seed, metric, names=("no", "yes")):
    said, y = sure(rows, seed, names)
    baseline = measure_baseline(Holdout(pd.DataFrame(index=y.index), y), said, [], "classification", metric)
    return fit_estimator(baseline, metric)


def table(said):
    columns = {f"probability_{name}": column for name, column in zip(said.classes, said.probabilities.T, strict=True)}
    return pa.table({"prediction": list(said.predicted), **columns})


def look(estimator, rows, seed, names=("no", "yes"), shift=0.0):
    said, _ = sure(rows, seed, names, shift)
    return estimate_loss(estimator, pd.DataFrame(index=range(rows)), table(said))


@pytest.mark.parametrize(
    ("metric", "names", "rows"), [("brier", ("no", "yes"), 200), ("accuracy", ("a", "b", "c"), 2_000)]
)
def test_without_drift_the_estimate_leaves_its_band_in_one_window_of_twenty_at_most(metric, names, rows):
    champions, windows = 10, 10
    signals = [
        look(estimator, rows, [seed, window], names)
        for seed in range(champions)
        for estimator in [fitted(1_500, seed, metric, names)]
        for window in range(windows)
    ]
    left = sum(not signal.lower <= signal.value <= signal.upper for signal in signals)
    # Chance alone adds four to a share of 1 in 20 of these; one side is half of it.
    assert left <= champions * windows / 20 + 4
    assert sum(signal.raised for signal in signals) <= champions * windows / 20


@pytest.mark.parametrize("metric", ["brier", "log_loss", "accuracy"])
def test_less_certain_answers_raise_it_and_it_is_near_what_comes_true(metric):
    estimator = fitted(4_000, 1, metric)
    said, y = sure(4_000, 2, shift=0.0)
    narrow = np.abs(said.probabilities[:, 1] - 0.5) < 0.35
    harder = Answers(said.predicted[narrow], said.probabilities[narrow], said.classes)
    signal = estimate_loss(estimator, pd.DataFrame(index=range(narrow.sum())), table(harder))
    labelled = table(harder).append_column("label", pa.array(list(y[narrow])))
    real = row_losses(read_answers(labelled, numeric=False), metric).mean()
    assert signal.outcome is Outcome.FAIL
    assert signal.value == pytest.approx(real, rel=0.1)
    assert abs(signal.value - real) < abs(estimator.holdout.mean - real) / 4


def test_of_numbers_it_knows_which_rows_are_hard():
    world = prices()
    estimator = fit_estimator(world.baseline, "mae")
    calm = estimate_loss(estimator, inputs_of(world.before), answered(world, world.before))
    hard = estimate_loss(estimator, inputs_of(world.after), answered(world, world.after))
    real = row_losses(read_answers(answered(world, world.after), numeric=True), "mae").mean()
    assert (calm.outcome, hard.outcome) == (Outcome.PASS, Outcome.FAIL)
    assert hard.value == pytest.approx(real, rel=0.08)
    assert real > 1.3 * estimator.holdout.mean


def test_it_cannot_see_that_the_rule_changed():
    world = leavers("concept")
    estimator = fit_estimator(world.baseline, "brier")
    answers = answered(world, world.after)
    real = row_losses(read_answers(answers, numeric=False), "brier").mean()
    signal = estimate_loss(estimator, inputs_of(world.after), answers)
    assert real > 5 * estimator.holdout.mean
    assert not signal.raised


def test_more_than_the_band_is_no_alarm_within_a_margin():
    world = prices()
    estimator = fit_estimator(world.baseline, "mae")
    rows, answers = inputs_of(world.after), answered(world, world.after)
    assert estimate_loss(estimator, rows, answers).raised
    generous = estimate_loss(estimator, rows, answers, margin=2.0)
    assert generous.outcome is Outcome.PASS
    assert generous.bound == pytest.approx(3 * estimator.holdout.mean)


def test_a_larger_window_has_a_narrower_band():
    estimator = fitted(5_000, 3, "brier")
    widths = [signal.upper - signal.lower for signal in (look(estimator, rows, 4) for rows in (200, 2_000, 20_000))]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 2 * widths[2]


def test_the_same_baseline_gives_the_same_estimate_also_from_a_cache():
    world = prices()
    first, again = (fit_estimator(world.baseline, "mae", seed=1) for _ in range(2))
    kept = pickle.loads(pickle.dumps(first))
    rows, answers = inputs_of(world.after), answered(world, world.after)
    assert estimate_loss(first, rows, answers) == estimate_loss(again, rows, answers)
    assert estimate_loss(kept, rows, answers) == estimate_loss(first, rows, answers)


def test_columns_that_windows_do_not_have_are_not_learnt_from():
    world = prices()
    estimator = fit_estimator(world.baseline, "mae", columns=["area"])
    rows = inputs_of(world.after)[["area"]]
    assert estimate_loss(estimator, rows, answered(world, world.after)).value == pytest.approx(
        estimator.holdout.mean, rel=0.1
    )


def test_what_cannot_be_estimated_says_why():
    said, y = sure(150, 1)
    few = measure_baseline(Holdout(pd.DataFrame(index=y.index), y), said, [], "classification", "brier")
    assert fit_estimator(few, "brier") == "150 rows of the holdout have a brier, 200 are needed to estimate it"
    silent = measure_baseline(
        Holdout(pd.DataFrame(index=y.index), y),
        Answers(said.predicted, None, said.classes),
        [],
        "classification",
        "brier",
    )
    why = fit_estimator(silent, loss_metric(None, silent))
    assert why == "the model gives no probabilities, so nothing says how sure it is"
    signal = estimate_loss(why, pd.DataFrame(index=range(150)), table(said))
    assert (signal.outcome, signal.why) == (Outcome.UNKNOWN, why)


def test_no_rows_and_rows_without_probabilities_are_unknown():
    estimator = fitted(1_000, 3, "brier")
    said, _ = sure(3, 1)
    blank = Answers(said.predicted, np.full((3, 2), np.nan), said.classes)
    for answers in (table(said).slice(0, 0), table(blank), table(said).select(["prediction"])):
        frame = pd.DataFrame(index=range(answers.num_rows))
        assert estimate_loss(estimator, frame, answers).outcome is Outcome.UNKNOWN


def test_a_class_that_the_holdout_had_and_the_model_does_not_know_costs_what_it_cost():
    said, y = sure(2_000, 5)
    y = y.mask(np.arange(2_000) % 10 == 0, "moved away")
    baseline = measure_baseline(Holdout(pd.DataFrame(index=y.index), y), said, [], "classification", "brier")
    signal = estimate_loss(fit_estimator(baseline, "accuracy"), pd.DataFrame(index=y.index), table(said))
    assert signal.value == pytest.approx(baseline.losses["accuracy"].mean, rel=0.03)
