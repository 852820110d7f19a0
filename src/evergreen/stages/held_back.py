"""Rows that the champion has not learned from, with what came true of them: what live traffic is imitated with."""

import logging
from datetime import datetime
from typing import TYPE_CHECKING

from evergreen.errors import UserError
from evergreen.settings import Settings
from evergreen.spec.data import DataSpec
from evergreen.spec.model import ModelSpec

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("evergreen.held_back")

_LEAST = 200
_NEWEST_SHARE = 0.2


def hold_back(spec: ModelSpec, trained_until: datetime | None, now: datetime, settings: Settings) -> "pd.DataFrame":
    """Labelled rows of the spec's table that are newer than the champion's training, as a canonical frame.

    Where there are fewer than 200, or the table has no times, the newest fifth of its rows, and the log says so.
    Raises DataError and UnavailableError as loading does, UserError for a table without any outcome.
    """
    rows = labelled_rows(spec, now, settings)
    column = spec.data.time_column
    if column is not None and trained_until is not None:
        fresh = rows[(rows[column] > trained_until.replace(tzinfo=None)).to_numpy()]
        if len(fresh) >= _LEAST:
            return fresh.reset_index(drop=True)
    newest = rows.tail(max(_LEAST, round(len(rows) * _NEWEST_SHARE)))
    log.warning("rows        %s rows, the newest of the table: the champion may have learned from them", len(newest))
    return newest.reset_index(drop=True)


def labelled_rows(spec: ModelSpec, now: datetime, settings: Settings) -> "pd.DataFrame":
    """All rows of the spec's table that have an outcome by now, oldest first, whatever the window of a training."""
    from evergreen.data.frame import read_snapshot
    from evergreen.data.load import take_snapshot

    data = _table(spec.data)
    snapshot = take_snapshot(data, spec.column_types, now, settings.snapshots)
    rows = read_snapshot(snapshot.path)
    rows = rows[rows[data.target].notna().to_numpy()]
    if rows.empty:
        raise UserError(f"{spec.model}: no row of its table has an outcome in {data.target!r} as of {now:%Y-%m-%d}")
    return rows if data.time_column is None else rows.sort_values(data.time_column, kind="stable")


def _table(data: DataSpec) -> DataSpec:
    """The table itself, without a window; of a model that learns from traffic the one that it began with."""
    source = data.source
    base = getattr(source, "base", None) if source.kind == "traffic" else source
    if base is None:
        raise UserError("data.source: has only traffic, so there are no rows to imitate it with; give it a base table")
    return data.model_copy(update={"source": base, "window": None})
