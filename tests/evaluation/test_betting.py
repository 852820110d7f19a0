"""A bound is refuted for certain, whenever one looks, and soon after values get worse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.evaluation.betting import lower_end, strongest_stretch

ALPHA = 0.05


def skewed(rows: int, seed: int) -> np.ndarray:
    """Losses of which few carry the mean, which is 1."""
    return np.random.default_rng(seed).lognormal(-0.5, 1.0, rows)


@pytest.mark.parametrize("draw", [skewed, lambda rows, seed: 20.0 * (np.random.default_rng(seed).random(rows) < 0.05)])
def test_who_looks_200_times_is_misled_in_one_whole_run_of_twenty_at_most(draw):
    runs, looks, each = 20, 200, 20
    misled = sum(
        any(strongest_stretch(values[: look * each], 1.0, ALPHA, step=100).refutes for look in range(1, looks + 1))
        for values in (draw(looks * each, seed) for seed in range(runs))
    )
    assert misled <= ALPHA * runs


@pytest.mark.parametrize(("times", "within"), [(3.0, 600), (1.6, 2_500)])
def test_a_loss_that_got_worse_after_a_long_time_is_noticed_soon(times, within):
    values = np.append(skewed(20_000, 1), times * skewed(within, 2))
    found = strongest_stretch(values, 1.1, ALPHA, step=200)
    assert found.refutes
    # The mean since the beginning would not have said so yet.
    assert lower_end(values, ALPHA) < 1.1
    assert 19_000 < found.start < 20_000 + within


def test_a_bound_is_refuted_where_the_lower_end_is_over_it():
    for seed in range(20):
        values = skewed(400, seed) * 1.2
        found = strongest_stretch(values, 1.0, ALPHA, step=50)
        lower = lower_end(values[found.start :], found.alpha)
        assert found.refutes == (lower > 1.0) or lower == pytest.approx(1.0, abs=2e-3)


@given(st.lists(st.floats(0, 1e3), min_size=1, max_size=60), st.floats(0.001, 0.5))
@settings(max_examples=60, deadline=None)
def test_the_lower_end_is_never_above_the_mean_nor_below_zero(values, alpha):
    assert 0 <= lower_end(np.array(values), alpha) <= np.mean(values) * (1 + 1e-9)


def test_it_scales_with_its_values_and_more_certainty_reaches_less_far():
    values = skewed(500, 3)
    assert lower_end(values * 1000, ALPHA) == pytest.approx(1000 * lower_end(values, ALPHA), rel=3e-3)
    assert lower_end(values, 0.001) < lower_end(values, 0.1)
