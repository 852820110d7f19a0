"""A window of rows boiled down to counts, chunk by chunk: memory does not grow with the window."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from evergreen.drift.profile import Profile
from evergreen.monitoring.cells import count_column, reference_counts


@dataclass(frozen=True)
class WindowCounts:
    """What drift needs of a window. `counts` has the rows in each cell of the profile, by column.

    `absent` counts rows in which a column was not there at all, which are among its nulls. `broken` says why a column
    could not be read.
    """

    profile: Profile
    rows: int = 0
    counts: Mapping[str, np.ndarray] = field(default_factory=dict)
    absent: Mapping[str, int] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def begin(cls, profile: Profile, columns: Iterable[str]) -> "WindowCounts":
        """Of no row yet; columns that the profile does not have are left out."""
        names = [name for name in columns if name in profile.columns]
        empty = {name: np.zeros_like(reference_counts(profile.columns[name])) for name in names}
        return cls(profile, counts=empty, absent=dict.fromkeys(names, 0))

    def add(self, frame: pd.DataFrame) -> "WindowCounts":
        """These rows as well; the given counts stay what they are."""
        counts, absent, broken = dict(self.counts), dict(self.absent), dict(self.broken)
        for name, known in self.counts.items():
            try:
                found = _count(frame, name, self.profile)
            except ValueError as error:
                broken[name] = str(error)
                continue
            if found is None:
                found = np.zeros_like(known)
                found[0] = len(frame)
                absent[name] += len(frame)
            counts[name] = known + found
        return replace(self, rows=self.rows + len(frame), counts=counts, absent=absent, broken=broken)


def _count(frame: pd.DataFrame, name: str, profile: Profile) -> np.ndarray | None:
    """Counts of a column, None where it is not there. Raises ValueError where it cannot be read."""
    there = int((frame.columns == name).sum())
    if there > 1:
        raise ValueError(f"{there} columns have this name")
    if not there:
        return None
    column, known = frame[name], profile.columns[name]
    try:
        return count_column(column, known)
    except ValueError as error:
        raise ValueError(f"was {known.type}, is {column.dtype} now: {error}") from error
