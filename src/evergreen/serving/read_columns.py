"""What msgspec accepted of many rows, column by column: the same values that reading them one by one gives."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from evergreen.data.parse import EXACT
from evergreen.serving.by_column import field_of
from evergreen.serving.handles import Column
from evergreen.serving.values import null_numbers
from evergreen.store.fields import Field, texts

Read = Callable[[Sequence[Any]], Field]
"""From the values of a column to its field. Raises NotSo where the exact check has to read them."""


class NotSo(Exception):  # noqa: N818 - no error: the exact check reads on
    """The compiled check does not say; the exact one must."""


def field_reader(column: Column, change: Callable[[Any], Any] | None) -> Read:
    """How a column is read, where `change` is what one value of it is made into, if into anything."""
    if column.type == "boolean":
        return lambda values: Field("boolean", np.array(values, dtype=np.float64))
    if column.type in ("integer", "number"):
        return _numbers(column)
    if column.type == "datetime":
        return lambda values: field_of(column, values if change is None else list(map(change, values)))
    return _texts(change)


def _numbers(column: Column) -> Read:
    nulls, whole = sorted(null_numbers(column)), column.type == "integer"

    def read(values: Sequence[Any]) -> Field:
        numbers = np.array(values, dtype=np.float64)
        if nulls and (blank := np.isin(numbers, nulls)).any():
            if not column.nullable:
                raise NotSo
            numbers[blank] = np.nan
        # A NaN is null here.
        if whole and not ((np.trunc(numbers) == numbers) & (np.abs(numbers) < EXACT) | np.isnan(numbers)).all():
            raise NotSo
        return Field(column.type, numbers)  # type: ignore[arg-type]

    return read


def _texts(change: Callable[[Any], Any] | None) -> Read:
    def read(values: Sequence[Any]) -> Field:
        field = texts(values)
        # Each text is judged once, however many rows have it.
        return field if change is None else replace(field, names=list(map(change, field.names)))

    return read
