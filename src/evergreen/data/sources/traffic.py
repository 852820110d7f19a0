"""Labelled traffic as a source: after the rows of a table where there is one, else alone.

A table and its traffic meet at one moment, that of the table's newest row: until then there are the rows of the table,
after it those of the traffic. Where the spec says that an id names a row once, the first row with it stays: the
table's, or the earlier request's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from evergreen.data.parse import TextRules, read_values, text_rules
from evergreen.data.sources import open_source
from evergreen.data.sources.stream import Request, Stream
from evergreen.data.traffic import Live, Piece
from evergreen.errors import DataError
from evergreen.spec.data import TrafficSource


@contextmanager
def open_stream(source: TrafficSource, request: Request) -> Iterator[Stream]:
    """Stream a table and the traffic after it, or the traffic alone."""
    live = request.live
    if live is None:
        raise ValueError("a source of traffic is read with a reader of it")
    where, seen = live.reader.where, _Seen(live, request)
    if source.base is None:
        yield Stream(where, _alone(seen))
        return
    with open_source(source.base, request) as base:
        yield Stream(f"{base.where} and {where}", _joined(base, seen, text_rules(source.base)))


def _alone(seen: "_Seen") -> Iterator[Any]:
    yield from seen.traffic()
    if not seen.live.tally.rows:
        raise DataError(f"{seen.live.reader.where}: {_nothing(seen)}")


def _joined(base: Stream, seen: "_Seen", rules: TextRules) -> Iterator[Any]:
    for batch in base.batches:
        seen.look(batch, rules)
        yield batch
    yield from seen.traffic()


def _nothing(seen: "_Seen") -> str:
    tally, at = seen.live.tally, f"{seen.request.as_of:%Y-%m-%d %H:%M} UTC"
    left = [
        f"{count:,} {why}"
        for count, why in ((tally.quarantined, "are in quarantine"), (tally.incomplete, "lack a column of the spec"))
        if count
    ]
    said = f" ({' and '.join(left)})" if left else ""
    return (
        f"no captured prediction has a label that was mature as of {at}{said}; "
        "send labels to POST /feedback, or name a table to begin with as data.source.base"
    )


class _Seen:
    """What came before a row of traffic: the newest moment of the table, and the names of rows."""

    def __init__(self, live: Live, request: Request) -> None:
        self.live, self.request = live, request
        self._newest: datetime | None = None
        self._names: npt.NDArray[np.uint64] = np.empty(0, np.uint64)

    def look(self, batch: Any, rules: TextRules) -> None:
        """Remember a batch of the table."""
        import pyarrow as pa
        import pyarrow.compute as pc

        column = self.live.time_column
        if column is not None:
            times = read_values(batch.column(column), "datetime", rules).values
            visible = pc.fill_null(pc.less_equal(times, pa.scalar(self.request.as_of, pa.timestamp("us"))), False)
            batch, newest = batch.filter(visible), pc.max(times.filter(visible)).as_py()
            self._newest = max(filter(None, (self._newest, newest)), default=None)
        if self._is_named:
            self._names = np.union1d(self._names, self._keys(batch.column(str(self.live.id_column)), rules)[0])

    def traffic(self) -> Iterator[Any]:
        """The rows of traffic that come after what was seen, as batches of a table."""
        live, request, tally = self.live, self.request, self.live.tally
        since = None if live.carries(live.time_column) else _latest(self._newest, request.since)
        as_of = request.as_of.replace(tzinfo=UTC)
        fields = [name for name in request.columns if live.carries(name)]
        for piece in live.reader.pieces(fields, as_of, since and since.replace(tzinfo=UTC)):
            batch = self._batch(piece)
            kept = self._due(batch)
            complete, broken = _numpy(piece.complete), _numpy(piece.quarantined)
            tally.incomplete += int((kept & ~complete).sum())
            tally.quarantined += int((kept & complete & broken).sum())
            kept &= complete & ~broken
            if self._is_named:
                kept = self._first(batch, kept)
            tally.rows += int(kept.sum())
            yield batch.filter(kept)

    @property
    def _is_named(self) -> bool:
        return self.live.reader.unique_ids and self.live.id_column is not None

    def _batch(self, piece: Piece) -> Any:
        import pyarrow as pa

        names = self.request.columns
        return pa.RecordBatch.from_arrays([_whole(self._column(name, piece)) for name in names], names=names)

    def _column(self, name: str, piece: Piece) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        live = self.live
        given = piece.inputs.column(name) if name in piece.inputs.column_names else None
        if name == live.target:
            return piece.labels
        if name == live.time_column:
            at = _whole(piece.at).cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us"))
            return at if given is None else pc.coalesce(read_values(_whole(given), "datetime").values, at)
        if name == live.id_column:
            names = _whole(piece.row_ids).cast(pa.string())
            return names if given is None else pc.coalesce(read_values(_whole(given), "text").values, names)
        if given is None and not live.carries(name):
            raise DataError(f"{live.reader.where}: no request carries the column {name!r}; take it out of the spec")
        return pa.nulls(len(piece.at)) if given is None else given

    def _due(self, batch: Any) -> npt.NDArray[np.bool_]:
        """Rows after the table whose label is mature."""
        column = self.live.time_column
        if column is None:
            return np.ones(batch.num_rows, bool)
        times = batch.column(column).to_numpy(zero_copy_only=False).astype("datetime64[us]")
        due = times <= np.datetime64(self.live.labelled_until, "us")
        after = _latest(self._newest, self.request.since)
        return due if after is None else due & (times > np.datetime64(after, "us"))

    def _first(self, batch: Any, kept: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Without rows whose name is known; one without a name stands for itself."""
        keys, named = self._keys(batch.column(str(self.live.id_column)), TextRules())
        places = np.flatnonzero(kept)[named[kept]] if len(named) else np.empty(0, int)
        mine = keys[np.cumsum(named)[places] - 1]
        _, first = np.unique(mine, return_index=True)
        fresh = first[~np.isin(mine[first], self._names)]
        self._names = np.union1d(self._names, mine[fresh])
        chosen = kept & ~named
        chosen[places[fresh]] = True
        return chosen

    def _keys(self, column: Any, rules: TextRules) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.bool_]]:
        """Hashes of the names, without nulls, and which rows have one."""
        import pandas as pd
        import pyarrow as pa
        import pyarrow.compute as pc

        kind = self.request.types[str(self.live.id_column)]
        values = read_values(_whole(column), kind, rules).values
        named = _numpy(pc.is_valid(values))
        texts = pc.cast(values.drop_null(), pa.string()).to_numpy(zero_copy_only=False)
        return pd.util.hash_array(texts.astype(object)), named


def _latest(*moments: datetime | None) -> datetime | None:
    return max(filter(None, moments), default=None)


def _whole(values: Any) -> Any:
    import pyarrow as pa

    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _numpy(mask: Any) -> npt.NDArray[np.bool_]:
    array: npt.NDArray[np.bool_] = _whole(mask).to_numpy(zero_copy_only=False).astype(bool)
    return array
