"""What is left to do with values that msgspec accepted: one by one, or column by column, which gives the same."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from evergreen.data.parse import EXACT
from evergreen.serving.by_column import field_of
from evergreen.serving.handles import Column
from evergreen.serving.values import Refusal, null_numbers, read_value
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


def listed(column: Column) -> list[str]:
    """The only texts that a column may have, as they are written in full; empty where others may come."""
    if column.allowed is None or not column.strict:
        return []
    return [label for label in column.allowed if label == label.strip() and label not in column.nulls]


def change_of(column: Column) -> Callable[[Any], Any] | None:
    """What is left to do with a value that msgspec accepted, nulls being canonical; None where nothing is."""
    numeric = column.type in ("integer", "number")
    if numeric and null_numbers(column):
        return partial(_exactly, column)
    if column.type == "boolean":
        return float
    if column.type == "integer":
        return _whole
    if column.type == "number" or listed(column):
        return None
    if column.type == "datetime" or (column.allowed is not None and column.strict):
        return partial(_exactly, column)
    return partial(_clean, frozenset(column.nulls), column.nullable)


def _exactly(column: Column, value: Any) -> Any:
    if value is None or value != value:  # noqa: PLR0124 - a NaN, which is null
        return value
    read = read_value(column, value)
    if isinstance(read, Refusal):
        raise NotSo
    return read


def _whole(value: float) -> float:
    # Only a NaN, which is null, is not equal to itself.
    if value == value and not (value.is_integer() and -EXACT < value < EXACT):  # noqa: PLR0124
        raise NotSo
    return value


def _clean(nulls: frozenset[str], nullable: bool, value: Any) -> str | None:
    if value is None:
        return None
    text = value.strip() if value.__class__ is str else _code(value)
    if text in nulls:
        if nullable:
            return None
        raise NotSo
    if "\0" in text:
        raise NotSo
    return text


def _code(value: float) -> str:
    """A whole number as the category that it names."""
    if isinstance(value, float) and not value.is_integer():
        raise NotSo
    if not -EXACT < value < EXACT:
        raise NotSo
    return str(int(value))
