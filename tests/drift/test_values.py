import numpy as np
import pandas as pd
import pytest

from evergreen.drift.values import count_labels, count_numbers, read_numbers

SAME = [
    pd.Series([1.0, np.nan, 0.0]),
    pd.Series([1, None, 0], dtype="Int64"),
    pd.Series([True, None, False], dtype="boolean"),
    pd.Series(["1", None, "0"], dtype=object),
    pd.Series(["1", None, "0"], dtype="str"),
    pd.Series(["1", None, "0"], dtype="category"),
]


@pytest.mark.parametrize("column", SAME, ids=lambda c: str(c.dtype))
def test_the_same_numbers_are_read_from_any_dtype(column):
    np.testing.assert_array_equal(read_numbers(column), [1.0, np.nan, 0.0])


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["a"]),
        pd.Series([[1]]),
        pd.Series([1j]),
        pd.to_datetime(pd.Series(["2013-01-01"])),
        pd.to_timedelta(pd.Series([1])),
    ],
    ids=lambda c: str(c.dtype),
)
def test_what_is_no_number_is_refused(column):
    with pytest.raises(ValueError):  # noqa: PT011 the words come from pandas
        read_numbers(column)


@pytest.mark.parametrize("dtype", ["category", "str", object])
def test_labels_are_counted_alike_in_any_dtype(dtype):
    assert count_labels(pd.Series(["b", None, "a", "b"], dtype=dtype)) == {"a": 1, "b": 2}


def test_categories_without_rows_are_not_there():
    assert count_labels(pd.Series(["a"], dtype=pd.CategoricalDtype(["a", "b"]))) == {"a": 1}


def test_the_two_zeros_are_one_number_and_infinities_are_counted():
    distinct, counts = count_numbers(np.array([-0.0, 0.0, np.inf, -np.inf, np.nan]))
    assert distinct.tolist() == [-np.inf, 0.0, np.inf]
    assert counts.tolist() == [1, 2, 1]
    assert not np.signbit(distinct[1])
