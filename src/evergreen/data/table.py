"""Batches of a source as canonical Arrow batches: declared types, rows that a run may see, labels that are known."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from evergreen.data.faults import FaultLog
from evergreen.data.parse import Reading, TextRules, advise, arrow_type, read_values
from evergreen.errors import DataError
from evergreen.spec.columns import ColumnType


@dataclass(frozen=True)
class Period:
    """What a run may see: rows with `since < time <= as_of`, labels of rows with `time <= labelled_until`.

    Naive UTC, as times in tables are. Without a time column `column` is None and every row is seen.
    """

    column: str | None
    target: str
    as_of: datetime
    since: datetime | None
    labelled_until: datetime

    @classmethod
    def looking_back(
        cls, column: str | None, target: str, as_of: datetime, window: timedelta | None, label_delay: timedelta
    ) -> "Period":
        """The period seen from an aware moment. Raises ValueError for a naive one."""
        if as_of.tzinfo is None:
            raise ValueError(f"as_of {as_of} has no zone; give an aware datetime")
        now = as_of.astimezone(UTC).replace(tzinfo=None)
        return cls(column, target, now, None if window is None else now - window, now - label_delay)


class TableReader:
    """Reads batch after batch of one source, and keeps count of what it met.

    With `unlabelled` rows whose label is known are left out, and so is the target; `types` hold it all the same.
    """

    def __init__(
        self, types: Mapping[str, ColumnType], period: Period, rules: TextRules, *, unlabelled: bool = False
    ) -> None:
        self._types = dict(types)
        self._period = period
        self._rules = rules
        self._log = FaultLog()
        # What labels are read as, to see which rows have one.
        self._label = self._types.pop(period.target) if unlabelled else None
        self.rows_read = 0
        self.visible = 0
        self.rows_kept = 0
        self.labelled = 0
        self.seen: tuple[datetime, datetime] | None = None
        self.kept: tuple[datetime, datetime] | None = None

    @property
    def faults(self) -> tuple[Any, ...]:
        """Values that could not be read, among the rows that were kept, and rows whose time could not be."""
        return self._log.faults()

    def read(self, batch: Any) -> Any:
        """The visible rows of a batch, canonical, columns in the order of the types."""
        import numpy as np
        import pyarrow as pa

        rows = np.arange(self.rows_read + 1, self.rows_read + batch.num_rows + 1)
        self.rows_read += batch.num_rows
        times = None
        if self._period.column is not None:
            batch, rows, times = self._visible(batch, rows)
        self.visible += batch.num_rows
        if self._label is not None:
            batch, rows, times = self._without_label(batch, rows, times, self._label)
        columns = [
            times if name == self._period.column else self._column(batch.column(name), name, rows, times)
            for name in self._types
        ]
        return self._count(pa.RecordBatch.from_arrays(columns, names=list(self._types)))

    def _visible(self, batch: Any, rows: Any) -> tuple[Any, Any, Any]:
        import pyarrow.compute as pc

        column, period = str(self._period.column), self._period
        times = self._read(batch.column(column), column).values
        unknown = pc.is_null(times)
        if pc.any(unknown).as_py():
            self._note(column, "time", batch.column(column), unknown, rows)
        self.seen = _widened(self.seen, times)
        visible = pc.less_equal(times, _stamp(period.as_of))
        if period.since is not None:
            visible = pc.and_(visible, pc.greater(times, _stamp(period.since)))
        visible = pc.fill_null(visible, False)
        if pc.all(visible).as_py():
            return batch, rows, times
        return batch.filter(visible), rows[_numpy(visible)], times.filter(visible)

    def _without_label(self, batch: Any, rows: Any, times: Any, kind: ColumnType) -> tuple[Any, Any, Any]:
        import pyarrow.compute as pc

        unknown = pc.is_null(self._read(batch.column(self._period.target), self._period.target, kind).values)
        if times is not None:
            unknown = pc.or_(unknown, pc.greater(times, _stamp(self._period.labelled_until)))
        return batch.filter(unknown), rows[_numpy(unknown)], None if times is None else times.filter(unknown)

    def _column(self, values: Any, name: str, rows: Any, times: Any) -> Any:
        import pyarrow.compute as pc

        reading = self._read(values, name)
        unreadable = reading.unreadable
        if name == self._period.target and times is not None:
            # Not even that a label is broken is known before the label is.
            known = pc.less_equal(times, _stamp(self._period.labelled_until))
            reading = Reading(pc.if_else(known, reading.values, None), None)
            unreadable = None if unreadable is None else pc.and_(unreadable, known)
        if unreadable is not None and pc.any(unreadable).as_py():
            self._note(name, "type", values, unreadable, rows)
        return reading.values

    def _note(self, name: str, rule: str, values: Any, broken: Any, rows: Any) -> None:
        values = values.filter(broken)
        self._log.note(name, rule, values, rows[_numpy(broken)], advise(values, self._types[name], self._rules))

    def _read(self, values: Any, name: str, kind: ColumnType | None = None) -> Reading:
        import pyarrow as pa

        kind = kind or self._types[name]
        try:
            return read_values(values, kind, self._rules)
        except pa.ArrowException as error:
            raise DataError(f"column {name!r} ({values.type}) cannot be read as {kind}: {error}") from error

    def _count(self, batch: Any) -> Any:
        self.rows_kept += batch.num_rows
        if self._period.target in self._types:
            self.labelled += batch.num_rows - batch.column(self._period.target).null_count
        if self._period.column is not None:
            self.kept = _widened(self.kept, batch.column(self._period.column))
        return batch


def string_schema(types: Mapping[str, ColumnType]) -> Any:
    """The schema of the batches that a TableReader yields."""
    import pyarrow as pa

    return pa.schema([(name, arrow_type(kind)) for name, kind in types.items()])


def _stamp(moment: datetime) -> Any:
    import pyarrow as pa

    return pa.scalar(moment, pa.timestamp("us"))


def _numpy(mask: Any) -> Any:
    return mask.to_numpy(zero_copy_only=False).astype(bool)


def _widened(span: tuple[datetime, datetime] | None, times: Any) -> tuple[datetime, datetime] | None:
    import pyarrow.compute as pc

    ends = pc.min_max(times)
    low, high = ends["min"].as_py(), ends["max"].as_py()
    if low is None:
        return span
    return (low, high) if span is None else (min(span[0], low), max(span[1], high))
