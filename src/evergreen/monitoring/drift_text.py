"""Drift of a window in words: what moved, by how much, and how much of that chance would do."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from evergreen.drift.profile import ColumnProfile
from evergreen.monitoring.cells import KNOWN, NEW, NULL
from evergreen.monitoring.window_counts import WindowCounts

_NAMED = 3


@dataclass(frozen=True)
class Moved:
    """A column of a window: its distance, its share of all weight, what chance or the floor allow it, and what moved.

    `raised` is True where it raises the signal by itself.
    """

    column: str
    effect: float
    weight: float
    threshold: float
    raised: bool
    what: str

    @property
    def moved(self) -> bool:
        """Farther than chance would move any column of the window."""
        return self.effect > self.threshold

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "moved": self.moved}


def explain(columns: Sequence[Moved], score: float, bound: float, rows: int, note: str) -> str:
    """One sentence, or two: the columns that matter, and those that moved and do not."""
    alone = [column for column in columns if column.raised]
    light = [column for column in columns if column.moved and not column.raised]
    said = f"weighted distance {score:.3f}, of which up to {bound:.3f} is nothing in {rows:,} rows"
    if score > bound:
        most = alone or [column for column in columns if column.weight > 0]
        said = f"{_list(most)}; weighted distance {score:.3f}, above {bound:.3f}"
    elif alone:
        said = f"{_list(alone)}; all columns together {score:.3f}, of which up to {bound:.3f} is nothing"
    elif light:
        said += f"; {_list(light)} moved, and the model hardly looks there"
    return f"{said}; {note}" if note else said


def describe(counts: WindowCounts, column: str) -> str:
    """What moved most in a column."""
    if column in counts.broken:
        return counts.broken[column]
    profile, now = counts.profile.columns[column], counts.cells(column)
    before = np.append(counts.reference[column], np.zeros(len(counts.new[column]), dtype=np.int64))
    old, new = before / before.sum(), now / now.sum()
    most = int(np.abs(new - old).argmax())
    if _mostly_nulls(old, new) if profile.numeric else most == NULL:
        return f"null {old[NULL]:.1%} → {new[NULL]:.1%}"
    if profile.numeric:
        return f"median {_middle(profile, before)} → {_middle(profile, now)}"
    return f"share of {_label(counts, column, most)} {old[most]:.1%} → {new[most]:.1%}"


def _label(counts: WindowCounts, column: str, cell: int) -> str:
    if cell == NEW:
        return "values that are new"
    known = counts.profile.columns[column].values
    if cell - KNOWN < len(known):
        return repr(known[cell - KNOWN])
    return f"{list(counts.new[column])[cell - KNOWN - len(known)]!r}, which is new,"


def _mostly_nulls(old: np.ndarray, new: np.ndarray) -> bool:
    return abs(new[NULL] - old[NULL]) > np.abs((new - old)[1:].cumsum()).max()


def _middle(profile: ColumnProfile, counts: np.ndarray) -> str:
    """The median, as exactly as the cells tell."""
    known = counts[1:]
    if not known.sum():
        return "null"
    cell = int(np.searchsorted(known.cumsum(), known.sum() / 2))
    place = cell // 2 if profile.exact else cell
    if place >= len(profile.values):
        return f"> {profile.values[-1]:.4g}"
    return f"{profile.values[place]:.4g}"


def _list(columns: Sequence[Moved]) -> str:
    named = [f"{c.column} ({c.what}, distance {c.effect:.2f}, weight {c.weight:.2f})" for c in columns[:_NAMED]]
    more = len(columns) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")
