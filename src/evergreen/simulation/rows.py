"""Rows of a table as requests of today, and what came true of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from evergreen.simulation.drifts import Columns
from evergreen.spec.columns import ColumnType
from evergreen.spec.model import ModelSpec

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class LiveRow:
    """A row as a caller sends it: JSON values by field, our own name for the row, and its outcome, told later."""

    fields: Mapping[str, Any]
    row_id: str
    label: Any


def known_columns(spec: ModelSpec) -> Columns:
    """What drifts have to know of a spec's table."""
    types, rules = spec.column_types, spec.table.columns
    numbers = tuple(name for name in spec.raw_inputs if types[name] in ("integer", "number"))
    ruled = [(name, rules[name]) for name in spec.raw_inputs if name in rules]
    return Columns(
        spec.data.target,
        spec.task == "classification",
        numbers,
        tuple(name for name, rule in ruled if rule.max_null_share),
        tuple((name, float(rule.min)) for name, rule in ruled if name in numbers and rule.min is not None),
    )


def move_to(frame: "pd.DataFrame", time_column: str | None, moments: "pd.Series") -> "pd.DataFrame":
    """The rows with their own times at these moments (naive UTC); their other datetimes keep their distance to it.

    >>> import pandas as pd
    >>> row = pd.DataFrame({"seen": [pd.Timestamp("2020-01-10")], "bought": [pd.Timestamp("2020-01-01")]})
    >>> move_to(row, "seen", pd.Series([pd.Timestamp("2026-05-10")]))["bought"].item()
    Timestamp('2026-05-01 00:00:00')
    """
    if time_column is None:
        return frame
    by = moments.to_numpy() - frame[time_column].to_numpy()
    moved = {name: (frame[name] + by).astype("datetime64[us]") for name in frame.select_dtypes("datetime").columns}
    return frame.assign(**moved)


def live_rows(frame: "pd.DataFrame", spec: ModelSpec, names: Sequence[str]) -> Iterator[LiveRow]:
    """Each row of a canonical frame as it would be asked, under these names."""
    types = spec.column_types
    columns = {name: _plain(frame[name], types[name]) for name in spec.raw_inputs}
    if spec.data.id_column is not None:
        columns[spec.data.id_column] = list(names)
    labels = _plain(frame[spec.data.target], types[spec.data.target])
    for place, (name, label) in enumerate(zip(names, labels, strict=True)):
        yield LiveRow({field: values[place] for field, values in columns.items()}, name, label)


def at_moment(frame: "pd.DataFrame", spec: ModelSpec, now: datetime) -> "pd.DataFrame":
    """The rows as if they came at an aware moment."""
    import pandas as pd

    moment = pd.Timestamp(now).tz_convert("UTC").tz_localize(None)
    return move_to(frame, spec.data.time_column, pd.Series([moment] * len(frame)))


def _plain(column: "pd.Series", kind: ColumnType) -> list[Any]:
    import pandas as pd

    there = column.notna().tolist()
    if kind == "datetime":
        values: list[Any] = [
            f"{pd.Timestamp(value).isoformat()}Z" if known else None for value, known in zip(column, there, strict=True)
        ]
        return values
    read = {"integer": int, "number": float, "boolean": bool}.get(kind, str)
    return [read(value) if known else None for value, known in zip(column, there, strict=True)]
