from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.evaluation.bootstrap import choose_scheme, compare, resample_differences, rows_to_decide
from evergreen.evaluation.metrics import METRICS, measure
from evergreen.evaluation.outputs import Labels, Numbers, take
from evergreen.evaluation.resample import blocks_of_time, independent_rows
from evergreen.spec.rules import AgainstChampion

EVERY_METRIC = sorted(METRICS)


def times(rows: int, days: float = 12.0, seed: int = 0):
    elapsed = np.random.default_rng(seed).random(rows) * days * 86400e6
    return np.datetime64("2024-01-01", "us") + elapsed.astype("timedelta64[us]")


def two_models(metric: str, rows: int = 120, seed: int = 0, classes: int = 2):
    rng = np.random.default_rng(seed)
    if METRICS[metric].task == "regression":
        y = rng.normal(100, 10, rows)
        return tuple(Numbers(y, y + rng.normal(0, spread, rows)) for spread in (4, 5))
    y = rng.integers(0, classes, rows)
    matrices = [rng.dirichlet(np.ones(classes), rows) + skill * np.eye(classes)[y] for skill in (0.4, 0.3)]
    names = tuple("abcdefgh"[:classes])
    return tuple(Labels(y, m.argmax(1), names, m / m.sum(axis=1, keepdims=True)) for m in matrices)


def rules(metric: str, **parts) -> AgainstChampion:
    return AgainstChampion(metric=metric, **{"resamples": 200, **parts})


@pytest.mark.parametrize("metric", EVERY_METRIC)
@pytest.mark.parametrize("in_time", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
def test_the_fast_path_equals_scoring_the_repeated_rows_one_resample_at_a_time(metric, in_time, classes):
    new, old = two_models(metric, classes=classes)
    scheme = blocks_of_time(times(120), timedelta(days=1)) if in_time else independent_rows(120, seed=3)
    fast = resample_differences(METRICS[metric], new, old, scheme, rules(metric))[:12]
    weights = next(scheme.weights(200, seed=0))[:12]
    repeated = [np.repeat(np.arange(120), drawn[scheme.unit].astype(int)) for drawn in weights]
    slow = [[measure(METRICS[metric], take(model, rows)) for model in (new, old)] for rows in repeated]
    expected = [np.nan if None in pair else pair[0] - pair[1] for pair in slow]
    np.testing.assert_allclose(fast, expected, atol=1e-10)


@given(st.integers(1, 400), st.integers(0, 5))
def test_a_resample_of_single_rows_has_as_many_rows_as_there_are(rows, seed):
    scheme = independent_rows(rows, seed)
    drawn = next(scheme.weights(5, seed))
    assert (drawn[:, scheme.unit].sum(axis=1) == rows).all()


def test_blocks_keep_neighbours_together_and_lie_on_a_circle():
    scheme = blocks_of_time(times(5000), timedelta(days=1))
    drawn = next(scheme.weights(250, seed=0))
    assert (drawn.sum(axis=1) == scheme.draws * scheme.length).all()
    # Every stretch is drawn equally often, the first and the last hour among them.
    assert drawn.mean(axis=0)[[0, -1]] == pytest.approx(1.0, abs=0.25)
    steps = np.abs(np.diff(drawn, axis=1)).sum(axis=1)
    assert (steps <= 2 * scheme.draws).all()


def test_the_same_seed_gives_the_same_interval_and_another_one_a_near_one():
    new, old = two_models("f1_weighted", rows=2000)
    scheme, _ = choose_scheme(2000, None, rules("f1_weighted"))
    first, again, other = (
        compare(METRICS["f1_weighted"], new, old, scheme, rules("f1_weighted", seed=seed, resamples=1000))
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other
    assert first.lower == pytest.approx(other.lower, abs=0.005)


@pytest.mark.parametrize("metric", EVERY_METRIC)
@pytest.mark.parametrize("in_time", [False, True])
def test_an_equal_twin_ties_exactly_on_every_metric(metric, in_time):
    model, _ = two_models(metric, rows=300)
    scheme, _ = choose_scheme(300, times(300) if in_time else None, rules(metric))
    found = compare(METRICS[metric], model, model, scheme, rules(metric))
    assert (found.difference, found.lower, found.upper) == (0.0, 0.0, 0.0)
    assert found.rows_to_decide is None


@pytest.mark.parametrize("metric", ["accuracy", "f1_weighted", "log_loss", "roc_auc", "rmse", "r2"])
def test_a_better_model_has_a_positive_difference_whatever_the_metric_and_swapped_a_negative_one(metric):
    new, old = two_models(metric, rows=4000)
    scheme, _ = choose_scheme(4000, None, rules(metric))
    better, worse = (compare(METRICS[metric], *pair, scheme, rules(metric)) for pair in ((new, old), (old, new)))
    assert better.lower > 0 > worse.upper
    assert better.difference == pytest.approx(-worse.difference)
    assert (better.challenger, better.champion) == (worse.champion, worse.challenger)
    assert better.challenger == measure(METRICS[metric], new)


def test_a_relative_margin_is_a_share_of_the_champions_value():
    new, old = two_models("rmse", rows=300)
    scheme, _ = choose_scheme(300, None, rules("rmse"))
    found = compare(METRICS["rmse"], new, old, scheme, rules("rmse", margin=0.1, relative=True))
    assert found.margin == pytest.approx(0.1 * found.champion)


def coverage(draw, in_time: bool, simulations: int = 150) -> float:
    """Share of simulations in which the lower end lies below the true difference, which is 0."""
    metric, gate, below = METRICS["mae"], rules("mae", resamples=400), 0
    for seed in range(simulations):
        new, old, at = draw(np.random.default_rng(seed))
        scheme, _ = choose_scheme(len(at), at if in_time else None, gate)
        below += compare(metric, new, old, scheme, gate).lower <= 0
    return below / simulations


def independent_errors(rng):
    y = np.zeros(80)
    return Numbers(y, rng.exponential(1, 80)), Numbers(y, rng.exponential(1, 80)), times(80)


def errors_that_share_their_day(rng):
    """12 days of 60 rows: whether a model has a good day matters more than the row."""
    at = np.sort(times(720))
    day = (at - at[0]).astype("timedelta64[D]").astype(int)
    luck = rng.exponential(1, (2, 13))[:, day] + rng.exponential(0.3, (2, 720))
    return Numbers(np.zeros(720), luck[0]), Numbers(np.zeros(720), luck[1]), at


def test_the_lower_end_is_as_confident_as_it_says_with_few_independent_rows():
    assert 0.90 <= coverage(independent_errors, in_time=False) <= 0.99


def test_blocks_keep_the_confidence_where_single_rows_would_lose_it():
    assert coverage(errors_that_share_their_day, in_time=True) >= 0.89
    assert coverage(errors_that_share_their_day, in_time=False) <= 0.80


@pytest.mark.parametrize(
    ("rows", "at", "why"),
    [(29, None, "29 holdout rows"), (400, times(400, days=3.5), "4 blocks of 1 day")],
)
def test_a_holdout_that_is_too_small_is_not_resampled_and_says_so(rows, at, why):
    scheme, note = choose_scheme(rows, at, rules("mae"))
    assert scheme is None
    assert why in note


def test_a_metric_that_most_resamples_lack_is_not_compared():
    y = np.r_[np.ones(1, dtype=int), np.zeros(99, dtype=int)]
    model = Labels(y, y, ("no", "yes"), np.eye(2)[y])
    scheme, _ = choose_scheme(100, None, rules("roc_auc"))
    assert measure(METRICS["roc_auc"], model) == 1.0
    assert compare(METRICS["roc_auc"], model, model, scheme, rules("roc_auc")) is None


def test_many_rows_are_drawn_in_groups_without_changing_the_width_of_the_interval():
    rng = np.random.default_rng(0)
    rows = 40_000
    y = np.zeros(rows)
    new, old = Numbers(y, rng.normal(0, 1, rows)), Numbers(y, rng.normal(0, 1, rows))
    scheme, _ = choose_scheme(rows, None, rules("mae"))
    found = compare(METRICS["mae"], new, old, scheme, rules("mae", resamples=2000))
    per_row = np.abs(old.predicted) - np.abs(new.predicted)
    assert found.upper - found.lower == pytest.approx(2 * 1.645 * per_row.std() / rows**0.5, rel=0.08)


@given(
    difference=st.floats(-1, 1),
    below=st.floats(1e-3, 1),
    above=st.floats(1e-3, 1),
    margin=st.floats(0, 0.5),
    rows=st.integers(30, 10**6),
)
def test_the_rows_that_would_decide_are_more_than_there_are_and_only_named_when_undecided(
    difference, below, above, margin, rows
):
    lower, upper = difference - below, difference + above
    needed = rows_to_decide(difference, lower, upper, margin, rows)
    decided = lower >= -margin or upper < -margin
    assert (needed is None) == (decided or abs(difference + margin) < 1e-4 * (below if difference > -margin else above))
    assert needed is None or needed >= rows
