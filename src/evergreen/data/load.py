"""Take a snapshot: stream a source into an immutable Parquet file that holds what a run may see, and no more."""

from collections.abc import Mapping
from datetime import UTC, datetime

from evergreen.data.parse import text_rules
from evergreen.data.snapshot import Fault, Snapshot
from evergreen.data.sources import Request, open_source
from evergreen.data.table import Period, TableReader
from evergreen.data.traffic import Live, TrafficReader
from evergreen.data.write import SnapshotWriter, describe, publish, unfinished_file, verify_digest
from evergreen.errors import DataError
from evergreen.spec.columns import ColumnType
from evergreen.spec.data import DataSpec, Source, TrafficSource

__all__ = ["take_snapshot", "verify_digest"]


def take_snapshot(
    data: DataSpec,
    types: Mapping[str, ColumnType],
    as_of: datetime,
    root: str,
    *,
    unlabelled: bool = False,
    traffic: TrafficReader | None = None,
) -> Snapshot:
    """The rows of `data.source` as one sees them at `as_of`, under `<root>/<digest>.parquet`.

    `types` names the columns to read. Rows later than `as_of`, or older than the window, are left out, and labels
    younger than the label delay are null. The same rows give the same file, which is then not written again.
    With `unlabelled` it holds the rows whose label is not known, without the target, which `types` must name; else a
    target that they do not name is not read. A source of traffic needs a reader of it.
    Raises DataError when the source is not what the spec says or holds no row of that time, UnavailableError when
    it does not answer; neither leaves a file behind.
    """
    period = Period.looking_back(data.time_column, data.target, as_of, data.window, data.label_delay)
    source, live = _without_traffic(data.source) if unlabelled else data.source, _live(data, period, traffic)
    request = Request(types, period.as_of, period.since, live)
    with open_source(source, request) as stream, unfinished_file(root) as path:
        reader = TableReader(types, period, text_rules(data.source), unlabelled=unlabelled)
        kept = {name: kind for name, kind in types.items() if not (unlabelled and name == data.target)}
        with SnapshotWriter(path, kept) as writer:
            for batch in stream.batches:
                writer.write(reader.read(batch))
            writer.describe(describe(kept, period.target, period.column, reader.faults))
        if not reader.rows_kept:
            raise DataError(_empty(stream.where, period, reader, unlabelled=unlabelled))
        final, digest = publish(path, root)
    _release()
    first, last = (moment.replace(tzinfo=UTC) for moment in reader.kept) if reader.kept else (None, None)
    as_of, counted = period.as_of.replace(tzinfo=UTC), None if live is None else live.tally.counted
    return Snapshot(
        final, digest, reader.rows_kept, reader.labelled, as_of, first, last, reader.faults, reader.rows_read, counted
    )


def _live(data: DataSpec, period: Period, traffic: TrafficReader | None) -> Live | None:
    if traffic is None:
        return None
    return Live(traffic, data.target, data.time_column, data.id_column, period.labelled_until)


def _without_traffic(source: Source) -> Source:
    """The source of rows that nobody answered yet."""
    if not isinstance(source, TrafficSource):
        return source
    if source.base is None:
        raise DataError("source traffic: each of its rows was answered when it was asked about; name rows of your own")
    return source.base


def _release() -> None:
    """Arrow keeps the memory of batches that are gone: 75 MB of 100,000 rows by 30 columns, and nobody reads more."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()


def _empty(where: str, period: Period, reader: TableReader, *, unlabelled: bool) -> str:
    if not reader.rows_read:
        return (
            f"{where}: holds no rows (as_of {period.as_of:%Y-%m-%d %H:%M} UTC); check the source, and the query if any"
        )
    if unlabelled and reader.visible:
        return f"{where}: each of its {reader.visible:,} rows has a label as of {period.as_of:%Y-%m-%d %H:%M} UTC"
    if reader.seen is None:
        return (
            f"{where}: no value of the time column {period.column!r} can be read as a time: {_said(reader.faults[0])}"
        )
    since = f" and after {period.since:%Y-%m-%d %H:%M} (data.window)" if period.since else ""
    first, last = reader.seen
    return (
        f"{where}: no row has {period.column} at or before as_of {period.as_of:%Y-%m-%d %H:%M}{since}; "
        f"its {reader.rows_read} rows reach from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC: "
        "choose another --as-of, or a longer window"
    )


def _said(fault: Fault) -> str:
    return ", ".join(fault.examples) + (f"; {fault.hint}" if fault.hint else "")
