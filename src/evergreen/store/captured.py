"""Captured rows as Arrow tables, whatever groups they were kept in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Captured:
    """Rows as they were served and what was answered, side by side: two tables of the same length and order.

    `inputs` has the fields by their own names. `answers` has `id`, `request`, `row_id`, `at`, `version`, `role`,
    `written_at`, `prediction`, `latency_ms`, `explored` and, of a classifier, `probability_<class>`; where labels were
    asked for also `label`, `label_at` and what is known of them. Two tables, because a field may have any name.
    """

    inputs: "pa.Table"
    answers: "pa.Table"

    @property
    def rows(self) -> int:
        """How many."""
        return int(self.answers.num_rows)


@dataclass(frozen=True)
class Part:
    """A group that was read: what its rows share, and its columns as `traffic_group.unpack` gives them."""

    version: int
    role: str
    written_at: datetime
    columns: dict[str, Any]

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.columns["id"])


def assemble(parts: Sequence[Part], columns: Sequence[str] | None = None) -> Captured:
    """Parts one after another. Fields that a part lacks are null there; `columns` chooses fields, all when None."""
    import pyarrow as pa

    inputs = [part.columns["inputs"] for part in parts]
    names = dict.fromkeys(chain.from_iterable(inputs)) if columns is None else dict.fromkeys(columns)
    fields = {name: array_of(_values(name, inputs, parts)) for name in names}
    return Captured(pa.table(fields), pa.table(_answers(parts)))


def join(chunks: Iterable[Captured]) -> Captured:
    """Chunks one after another."""
    found = list(chunks)
    return Captured(_concat([chunk.inputs for chunk in found]), _concat([chunk.answers for chunk in found]))


def _answers(parts: Sequence[Part]) -> dict[str, Any]:
    import numpy as np
    import pyarrow as pa

    columns = [part.columns for part in parts]
    fixed = {"id": pa.string(), "request": pa.string(), "row_id": pa.string(), "at": pa.timestamp("us", "UTC")}
    table = {name: pa.array(_values(name, columns, parts), kind) for name, kind in fixed.items()}
    rows = [part.rows for part in parts]
    shared = {"version": pa.int64(), "role": pa.string(), "written_at": fixed["at"]}
    for name, kind in shared.items():
        values = np.repeat(np.array([getattr(part, name) for part in parts], dtype=object), rows)
        table[name] = pa.array(values, kind)
    table["prediction"] = array_of(_values("prediction", columns, parts))
    table["latency_ms"] = pa.array(_values("latency_ms", columns, parts), pa.float64())
    table["explored"] = pa.array([bool(value) for value in _values("explored", columns, parts)], pa.bool_())
    matrices = [part.columns.get("probabilities", {}) for part in parts]
    for name in dict.fromkeys(chain.from_iterable(matrices)):
        table[f"probability_{name}"] = pa.array(_values(name, matrices, parts), pa.float64())
    return table


def _values(name: str, columns: Sequence[dict[str, Any]], parts: Sequence[Part]) -> list[Any]:
    given = (each.get(name) or [None] * part.rows for each, part in zip(columns, parts, strict=True))
    return list(chain.from_iterable(given))


def array_of(values: list[Any]) -> Any:
    """Values as Arrow; as text where they are of several kinds, which happens when a field changed its type."""
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None else str(value) for value in values], pa.string())


def _concat(tables: "Sequence[pa.Table]") -> "pa.Table":
    import pyarrow as pa

    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowTypeError:
        return pa.concat_tables([_mixed_as_text(table, tables) for table in tables], promote_options="permissive")


def _mixed_as_text(table: "pa.Table", tables: "Sequence[pa.Table]") -> "pa.Table":
    import pyarrow as pa

    for place, name in enumerate(table.column_names):
        kinds = {str(other.schema.field(name).type) for other in tables if name in other.column_names}
        if "string" in kinds and kinds - {"string", "null"}:
            table = table.set_column(place, name, table.column(name).cast(pa.string()))
    return table
