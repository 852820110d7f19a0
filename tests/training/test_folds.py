"""Laws of folds: validation follows training in time, groups stay whole, classes are spread."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.errors import DataError
from evergreen.training.folds import shuffled_folds, time_folds

START = np.datetime64("2026-01-01", "us")


def moments(days):
    return START + np.array(days, dtype="timedelta64[D]")


@given(st.lists(st.integers(0, 50), min_size=4, max_size=100), st.integers(2, 5), st.integers(0, 3))
def test_every_fold_validates_on_rows_that_are_later_than_all_it_learns_from(days, folds, gap):
    times = moments(days)
    try:
        sides = time_folds(times, folds, timedelta(days=gap) if gap else None)
    except DataError:
        return
    assert len(sides) == folds
    for train, validation in sides:
        assert times[train].max() + np.timedelta64(gap, "D") <= times[validation].min()
        assert times[train].max() < times[validation].min()
    seen = np.concatenate([validation for _, validation in sides])
    assert len(set(seen)) == len(seen)


def test_equal_times_never_straddle_a_boundary():
    times = moments([0] * 10 + [1] * 10 + [2] * 10 + [3] * 10)
    for train, validation in time_folds(times, 3):
        assert not set(times[train]) & set(times[validation])


def test_time_folds_expand_and_cover_the_newest_rows():
    sides = time_folds(moments(range(40)), 3)
    assert [len(train) for train, _ in sides] == [10, 20, 30]
    assert sides[-1][1].tolist() == list(range(30, 40))


def test_a_group_of_a_validation_block_is_not_learned_from():
    groups = np.arange(40) % 5
    groups[:10] = 9
    for train, validation in time_folds(moments(range(40)), 3, groups=groups):
        assert not set(groups[train]) & set(groups[validation])


@given(st.lists(st.integers(0, 12), min_size=20, max_size=80), st.booleans(), st.integers(0, 3))
def test_groups_never_straddle_folds(groups, stratified, seed):
    groups = np.array(groups)
    try:
        sides = shuffled_folds(len(groups), 3, seed, np.arange(len(groups)) % 2 if stratified else None, groups)
    except DataError:
        assert len(set(groups)) < 3
        return
    for train, validation in sides:
        assert not set(groups[train]) & set(groups[validation])
        assert not set(train) & set(validation)


def test_stratified_folds_spread_a_rare_class_evenly():
    classes = np.repeat([0, 1], [90, 10])
    assert [classes[v].sum() for _, v in shuffled_folds(100, 5, 0, classes)] == [2, 2, 2, 2, 2]


def test_the_same_seed_gives_the_same_folds():
    first, again, other = (shuffled_folds(50, 3, seed)[0][1].tolist() for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: shuffled_folds(3, 3, 0), "3 training rows are too few for 3 folds"),
        (lambda: shuffled_folds(9, 5, 0, groups=np.repeat([1, 2, 3], 3)), "3 groups are too few for 5 folds"),
        (lambda: shuffled_folds(6, 5, 0, classes=np.repeat([0, 1], 3)), "the largest class has 3 rows"),
        (lambda: time_folds(moments([0] * 20 + [1] * 20), 3), "40 training rows have 2 different times"),
        (lambda: time_folds(moments(range(40)), 3, timedelta(days=30)), "a fold has no row to train on before"),
    ],
)
def test_too_little_for_the_folds_is_said_with_numbers(call, message):
    with pytest.raises(DataError, match=message):
        call()
