"""Where a value stands among thresholds is found without a search, and is the same place."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.serving.masks import _grid

NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.floats(-10, 10) | st.integers(-5, 5).map(float)


@settings(max_examples=150, deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=40), st.lists(NUMBERS | st.sampled_from([np.inf, -np.inf]), max_size=20))
def test_a_value_stands_where_a_search_finds_it(thresholds, values):
    known = np.unique(thresholds)
    grid = _grid(known)
    # On every threshold, and right beside it, as well.
    with np.errstate(over="ignore"):
        asked = np.concatenate([values, known, np.nextafter(known, np.inf), np.nextafter(known, -np.inf)])
    if grid is not None:
        np.testing.assert_array_equal(grid.places(asked), np.searchsorted(known, asked))


def test_thresholds_of_real_trees_have_a_grid_and_a_missing_value_harms_nothing():
    known = np.unique(np.random.default_rng(0).normal(size=150))
    grid = _grid(known)
    assert grid is not None
    asked = np.random.default_rng(1).normal(size=500)
    np.testing.assert_array_equal(grid.places(asked), np.searchsorted(known, asked))
    assert 0 <= grid.places(np.array([np.nan]))[0] <= len(known) + grid.most


@pytest.mark.parametrize("known", [[1.0], [1.0, np.inf], [0.0, 1e-9, 2e-9, 3e-9, 1.0], [-1e308, 1e308]])
def test_thresholds_that_a_grid_does_not_part_are_searched(known):
    assert _grid(np.array(known)) is None
