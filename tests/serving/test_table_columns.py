"""Columns of a table: what is read the short way is what is read the exact one."""

import math

import numpy as np
import pyarrow as pa
import pytest

from evergreen.serving import table_columns
from evergreen.serving.handles import Column
from evergreen.serving.table_columns import read_column

NUMBERS = {
    "plain": [1.5, -2.0, 0.25],
    "whole": [1.0, -7.0, 0.0, -0.0],
    "a null": [1.0, None, 3.0],
    "a NaN": [1.0, math.nan, 3.0],
    "nothing": [None, math.nan],
    "no row": [],
    "infinite": [1.0, math.inf],
    "below all": [-math.inf, 2.0],
    "large": [1.7e308, -1.7e308],
    "at the bounds": [0.0, 10.0],
    "beyond one": [0.0, 10.000001],
    "below one": [-0.0000001, 5.0],
    "more than a whole number can be": [2.0**53, 1.0],
    "just not": [2.0**53 - 1, 1.0],
    "what meant nothing": [-999.0, 4.0],
    "tiny": [5e-324, 1.0],
}
NUMBER_COLUMNS = [
    Column("x", "number"),
    Column("x", "number", nullable=False),
    Column("x", "number", min=0, max=10),
    Column("x", "number", nulls=("", "-999"), nullable=False),
    Column("x", "number", nulls=("", "-999"), min=0),
    Column("x", "integer"),
    Column("x", "integer", min=0, nulls=("-999",)),
]
TEXTS = {
    "plain": ["a", "b", "a"],
    "a null": ["a", None],
    "blank": ["a", "  "],
    "with blanks": [" a", "b "],
    "a word for nothing": ["a", "?"],
    "no row": [],
    "nothing": [None, None],
    "another": ["a", "zebra"],
    "long": ["a", "x" * 1_001],
    "a NUL": ["a", "b\0"],
    "a number": ["3", "3.0"],
    "ünseen": ["ü", "\u00a0a"],
}
TEXT_COLUMNS = [
    Column("x", "category"),
    Column("x", "text"),
    Column("x", "category", nullable=False),
    Column("x", "category", nulls=("", "?")),
    Column("x", "category", allowed=("a", "b")),
    Column("x", "category", allowed=("a", "b"), strict=False, nullable=False),
]
CASES = [(column, pa.array(given, pa.float64())) for column in NUMBER_COLUMNS for given in NUMBERS.values()]
CASES += [(column, pa.array(given, pa.string())) for column in TEXT_COLUMNS for given in TEXTS.values()]


def same(one, other):
    if (one.kind, len(one)) != (other.kind, len(other)):
        return False
    if one.kind == "text":
        return one.tolist() == other.tolist()
    return np.array_equal(one.values, other.values, equal_nan=True) and np.array_equal(
        np.signbit(one.values), np.signbit(other.values)
    )


def test_the_short_way_reads_what_the_exact_one_reads(monkeypatch):
    short = [table_columns._plain(column, values) for column, values in CASES]
    monkeypatch.setattr(table_columns, "_plain", lambda *_: None)
    exact = [read_column(column, values) for column, values in CASES]
    for (column, values), quick, (field, problems) in zip(CASES, short, exact, strict=True):
        said = f"{column} {values.to_pylist()}"
        assert quick is None or not problems, said
        assert quick is None or same(quick, field), said
    # Both ends: some are read so, and none that breaks a rule is.
    assert 40 < sum(quick is not None for quick in short) < len(CASES)


@pytest.mark.parametrize("kind", [pa.float64(), pa.string()], ids=str)
def test_a_part_of_an_array_is_read_as_that_part(kind):
    values = pa.array([1.0, 2.0, 3.0, 4.0], pa.float64()).cast(kind).slice(1, 2)
    field, problems = read_column(Column("x", "number" if kind == pa.float64() else "text"), values)
    assert (problems, field.tolist()) == ([], [2.0, 3.0] if kind == pa.float64() else ["2", "3"])
