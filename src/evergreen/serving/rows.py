"""Rows and frames: the same values, as tuples and as the canonical frame."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.serving.handles import Column, Row
from evergreen.store.inputs import InputForm, Inputs

if TYPE_CHECKING:
    import pandas as pd

_NUMERIC = ("integer", "number", "boolean")


def rows_to_frame(columns: Sequence[Column], rows: Sequence[Row]) -> "pd.DataFrame":
    """The canonical frame of some rows, as the pipeline and replays read it."""
    import pandas as pd

    values = zip(*rows, strict=True) if rows else [()] * len(columns)
    return pd.DataFrame({c.name: _series(c, given) for c, given in zip(columns, values, strict=True)}, copy=False)


def frame_to_rows(columns: Sequence[Column], frame: "pd.DataFrame") -> list[Row]:
    """The rows of a canonical frame; the inverse of `rows_to_frame`."""
    return list(zip(*(_values(column, frame[column.name]) for column in columns), strict=True))


def row_to_json(columns: Sequence[Column], row: Row) -> dict[str, Any]:
    """A row by name, as JSON has it: null for a missing value, whole numbers whole, ISO 8601 for a moment.

    >>> row_to_json((Column("n", "integer"), Column("at", "datetime")), (3.0, 0))
    {'n': 3, 'at': '1970-01-01T00:00:00Z'}
    """
    return Inputs(input_form(columns), row).named


def input_form(columns: Sequence[Column]) -> InputForm:
    """How rows of these columns are captured."""
    names = tuple(column.name for column in columns)
    return InputForm(names, tuple("text" if column.type == "category" else column.type for column in columns))


def _series(column: Column, values: Sequence[Any]) -> "pd.Series[Any]":
    import pandas as pd

    if column.type in _NUMERIC:
        return pd.Series(np.array(values, dtype=np.float64))
    if column.type == "category":
        texts = pd.Index(sorted({value for value in values if value is not None}), dtype="str")
        return pd.Series(pd.Categorical(values, categories=texts))
    if column.type == "datetime":
        moments = [np.iinfo(np.int64).min if value is None else value for value in values]
        return pd.Series(np.array(moments, dtype=np.int64).view("datetime64[us]"))
    return pd.Series(list(values), dtype="str")


def _values(column: Column, series: "pd.Series[Any]") -> list[Any]:
    if column.type in _NUMERIC:
        return list(series.to_numpy(dtype=np.float64, na_value=np.nan).tolist())
    if column.type == "datetime":
        moments = series.to_numpy(dtype="datetime64[us]")
        return [None if math.isnan(n) else n for n in _nan_for_nat(moments)]
    known = series.notna().to_numpy()
    return [str(value) if there else None for value, there in zip(series.tolist(), known, strict=True)]


def _nan_for_nat(moments: Any) -> list[Any]:
    return [
        math.nan if there else n for n, there in zip(moments.view(np.int64).tolist(), np.isnat(moments), strict=True)
    ]
