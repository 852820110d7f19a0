"""Rows that are kept column by column, as they come and go in large requests."""

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np

from evergreen.serving.handles import Column, Row
from evergreen.store.fields import NO_MOMENT, Field, texts


class ByColumn(Sequence[Row]):
    """Rows as a field a column; whoever wants a row, or all of them, gets tuples."""

    def __init__(self, fields: Sequence[Field]) -> None:
        self.fields = tuple(fields)

    @property
    def nbytes(self) -> int:
        """How many bytes the fields take in memory."""
        return sum(field.nbytes for field in self.fields)

    def __len__(self) -> int:
        return len(self.fields[0]) if self.fields else 0

    def __iter__(self) -> Iterator[Row]:
        return iter(zip(*map(canonical, self.fields), strict=True))

    @overload
    def __getitem__(self, place: int) -> Row: ...

    @overload
    def __getitem__(self, place: slice) -> "ByColumn": ...

    def __getitem__(self, place: int | slice) -> "Row | ByColumn":
        if isinstance(place, slice):
            return ByColumn([field.take(place) for field in self.fields])
        # As a list of one: a slice would end before the last row is reached from behind.
        return next(iter(ByColumn([field.take([place]) for field in self.fields])))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __repr__(self) -> str:
        return repr(list(self))

    __hash__ = None  # type: ignore[assignment]


def canonical(field: Field) -> list[Any]:
    """The values of a field as rows have them.

    >>> canonical(texts(["a", None])), canonical(Field("datetime", np.array([5, NO_MOMENT])))
    (['a', None], [5, None])
    """
    if field.kind == "text":
        return field.tolist()
    values: list[Any] = field.values.tolist()
    if field.kind == "datetime":
        return [None if value == NO_MOMENT else value for value in values]
    return values


def values_at(rows: Sequence[Row], position: int) -> list[Any]:
    """The values of one column."""
    return canonical(rows.fields[position]) if isinstance(rows, ByColumn) else [row[position] for row in rows]


def by_column(columns: Sequence[Column], rows: Sequence[Row]) -> ByColumn:
    """The same rows column by column."""
    return ByColumn([field_of(column, values) for column, values in zip(columns, zip(*rows, strict=True), strict=True)])


def field_of(column: Column, values: Sequence[Any]) -> Field:
    """Canonical values of a column as a field."""
    if column.type in ("integer", "number", "boolean"):
        return Field(column.type, np.array(values, dtype=np.float64))
    if column.type == "datetime":
        moments = [NO_MOMENT if value is None else value for value in values]
        return Field("datetime", np.array(moments, dtype=np.int64))
    return texts(values)
