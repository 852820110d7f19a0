"""A window of rows boiled down to counts, chunk by chunk: memory does not grow with the window."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from evergreen.drift.profile import Profile
from evergreen.monitoring.cells import NEW, NULL, count_column, reference_counts

# Of more new labels than this, those with the fewest rows are counted together.
_NEW_LABELS = 1_000


@dataclass(frozen=True)
class WindowCounts:
    """What drift needs of a window. `counts` has the rows in each cell of the profile, by column, `reference` the rows
    that the reference has there.

    `new` has the labels that the reference does not have, with their rows; past a thousand a column the most frequent.
    `absent` counts rows in which a column was not there at all, which are among its nulls. `broken` says why a column
    could not be read.
    """

    profile: Profile
    reference: Mapping[str, np.ndarray]
    rows: int = 0
    counts: Mapping[str, np.ndarray] = field(default_factory=dict)
    new: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    absent: Mapping[str, int] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def begin(cls, profile: Profile, columns: Iterable[str]) -> "WindowCounts":
        """Of no row yet; columns that the profile does not have are left out."""
        names = [name for name in columns if name in profile.columns]
        reference = {name: reference_counts(profile.columns[name]) for name in names}
        empty = {name: np.zeros_like(known) for name, known in reference.items()}
        return cls(profile, reference, counts=empty, new={name: {} for name in names}, absent=dict.fromkeys(names, 0))

    def add(self, frame: pd.DataFrame) -> "WindowCounts":
        """These rows as well; the given counts stay what they are."""
        counts, new, absent, broken = dict(self.counts), dict(self.new), dict(self.absent), dict(self.broken)
        for name in self.counts:
            try:
                found, labels = self._count(frame, name)
            except ValueError as error:
                broken[name] = str(error)
                continue
            counts[name] = counts[name] + found
            new[name] = _most_frequent(new[name], labels)
            absent[name] += 0 if name in frame.columns else len(frame)
        return replace(self, rows=self.rows + len(frame), counts=counts, new=new, absent=absent, broken=broken)

    def has(self, column: str) -> bool:
        """True where both sides have something to compare. A column that no row came with was not captured."""
        return column in self.counts and self.absent[column] < self.rows and self.reference[column].sum() > 0

    def cells(self, column: str) -> np.ndarray:
        """A column's rows by cell: those of the profile, then one for each new label."""
        counts, new = self.counts[column].copy(), list(self.new[column].values())
        counts[NEW] -= sum(new)
        return np.append(counts, new).astype(np.int64)

    def _count(self, frame: pd.DataFrame, name: str) -> tuple[np.ndarray, dict[str, int]]:
        """Counts of a column, all null where it is not there. Raises ValueError where it cannot be read."""
        known, there = self.profile.columns[name], int((frame.columns == name).sum())
        if there > 1:
            raise ValueError(f"{there} columns have this name")
        if not there:
            counts = np.zeros_like(self.reference[name])
            counts[NULL] = len(frame)
            return counts, {}
        column = frame[name]
        try:
            return count_column(column, known)
        except ValueError as error:
            raise ValueError(f"was {known.type}, is {column.dtype} now: {error}") from error


def _most_frequent(known: Mapping[str, int], found: Mapping[str, int]) -> Mapping[str, int]:
    if not found:
        return known
    together = Counter(known) + Counter(found)
    return dict(sorted(together.items(), key=lambda item: (-item[1], item[0]))[:_NEW_LABELS])
