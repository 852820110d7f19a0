"""What the times of a table suggest: which column they stand in, what to hold out, which calendar parts to derive."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pandas as pd

from evergreen.scaffold.inspect import ColumnReport, TableReport
from evergreen.scaffold.roles import says_the_same

# Times of something else than the row: they end, begin, or are known only later.
_OF_SOMETHING_ELSE = re.compile(r"birth|dob|last|first|end|due|expir|cancel|clos|updat|modif|return|deliver", re.I)
_USUAL = re.compile(r"date|time|timestamp|(^|_)at$|day|when|observed|created|event", re.I)
_FEWEST_MOMENTS = 10
_SPANS = (
    *((timedelta(hours=h), f"{h}h") for h in (1, 2, 3, 6, 12)),
    *((timedelta(days=d), f"{d}d") for d in (1, 2, 3, 5, 7, 10, 14, 21, 28, 30, 42, 60, 90, 120, 150, 180, 240, 300)),
    *((timedelta(days=365 * y), f"{365 * y}d") for y in (1, 2, 3, 5, 10)),
)
_WANTED = 0.18


@dataclass(frozen=True)
class Holdout:
    """The newest block as a duration, and the share of labelled rows in it."""

    duration: str
    share: float


def suspect_time(table: TableReport, target: str) -> str | None:
    """The column that most likely says when a row happened, if any."""
    dates = [c for c in table.columns.values() if c.type == "datetime" and c.name != target and _may_be_time(c)]
    usual = [c for c in dates if _USUAL.search(c.name)]
    return next((c.name for c in (*usual, *dates)), None)


def choose_holdout(times: pd.Series, labelled: pd.Series) -> Holdout | None:
    """A round duration whose newest rows are about a fifth of the labelled ones; None where no span comes near."""
    known = times[labelled & times.notna()]
    if known.nunique() < _FEWEST_MOMENTS:
        return None
    cut = known.max()
    shares = [(abs(share - _WANTED), name, share) for span, name in _SPANS if (share := (known > cut - span).mean())]
    _, name, share = min(shares)
    return Holdout(name, float(share)) if 0.05 <= share <= 0.4 else None


def calendar_features(table: TableReport, time: str, used: list[str]) -> Iterator[dict[str, str]]:
    """The parts of the time that vary, span enough of it, and are not in the table already."""
    times = table.frame[time].dropna()
    span = times.max() - times.min()
    parts = {
        "hour": (times.dt.hour, timedelta(days=2)),
        "weekday": (times.dt.weekday, timedelta(days=21)),
        "month": (times.dt.month, timedelta(days=500)),
    }
    for kind, (part, needed) in parts.items():
        known = any(says_the_same(table.frame[name].loc[times.index], part) for name in used)
        if part.nunique() > 1 and span >= needed and not known:
            yield {"name": kind if kind not in table.columns else f"{time}_{kind}", "kind": kind, "of": time}


def _may_be_time(c: ColumnReport) -> bool:
    return c.null_share <= 0.01 and c.distinct >= _FEWEST_MOMENTS and not _OF_SOMETHING_ELSE.search(c.name)
