"""A column read as numbers or as counted labels, whatever pandas made of it."""

import numpy as np
import pandas as pd

from evergreen.spec.columns import ColumnType

# Booleans are 0 and 1 in the canonical frame, so they are read as numbers and compared as two labels.
NUMERIC: frozenset[ColumnType] = frozenset({"integer", "number", "boolean"})


def read_numbers(column: pd.Series) -> np.ndarray:
    """The column as float64, null as NaN, infinities kept.

    Raises:
        ValueError: The column holds something that is no number.

    >>> read_numbers(pd.Series(["1", None, 2.5], dtype="object"))
    array([1. , nan, 2.5])
    """
    dtype, known = column.dtype, pd.api.types
    if known.is_complex_dtype(dtype) or known.is_datetime64_any_dtype(dtype) or known.is_timedelta64_dtype(dtype):
        raise ValueError(f"{dtype} is no number")
    if known.is_numeric_dtype(dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    try:
        values = pd.to_numeric(column.astype(object), errors="raise")
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, OverflowError) as error:
        raise ValueError(str(error)) from error


def count_labels(column: pd.Series) -> dict[str, int]:
    """How often each label occurs, null left out. Labels are text: `3` and `"3"` are one.

    Raises:
        ValueError: The column holds something that cannot be counted, such as lists.

    >>> count_labels(pd.Series(["a", "b", "a", None], dtype="category"))
    {'a': 2, 'b': 1}
    """
    try:
        found = column.value_counts(sort=False, dropna=True)
    except TypeError as error:
        raise ValueError(str(error)) from error
    counts: dict[str, int] = {}
    for label, count in zip(found.index.tolist(), found.tolist(), strict=True):
        if count:
            counts[str(label)] = counts.get(str(label), 0) + int(count)
    return dict(sorted(counts.items()))


def count_numbers(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct values in ascending order and their counts, NaN left out.

    >>> count_numbers(np.array([2.0, 1.0, np.nan, 2.0]))
    (array([1., 2.]), array([1, 2]))
    """
    # -0.0 + 0.0 is 0.0: the two zeros are one value.
    distinct, counts = np.unique(values[~np.isnan(values)] + 0.0, return_counts=True)
    return distinct, counts
