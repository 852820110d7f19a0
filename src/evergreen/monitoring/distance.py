"""How far counts are from the reference: one figure from 0 to 1 that reads as a share of rows."""

from dataclasses import dataclass

import numpy as np

from evergreen.drift.profile import ColumnProfile
from evergreen.monitoring.cells import NEW, NULL, reference_counts

# Labels that fewer rows of a window are expected to have are one cell.
EXPECTED = 5


@dataclass(frozen=True)
class Ruler:
    """What windows are measured with: of numbers Kolmogorov's D, of labels the total variation distance.

    `group[cell]` is where a cell of the profile is counted, `shares` are the reference's by group.
    """

    ordered: bool
    group: np.ndarray
    shares: np.ndarray

    def of_counts(self, counts: np.ndarray) -> float:
        """The distance of counts over the profile's cells from the reference."""
        grouped = np.bincount(self.group, weights=counts, minlength=len(self.shares))
        return float(self.between(grouped / counts.sum(), self.shares))

    def between(self, shares: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """The distance of shares by group, in the last axis, from others."""
        difference = shares - reference
        if self.ordered:
            return np.abs(difference.cumsum(axis=-1)).max(axis=-1)
        return np.abs(difference).sum(axis=-1) / 2


def ruler(profile: ColumnProfile, rows: int) -> Ruler:
    """The ruler of a column for windows of so many rows.

    >>> few = ColumnProfile("category", 100, 0, values=("a", "b", "c"), counts=(96, 2, 2))
    >>> ruler(few, 100).group.tolist(), ruler(few, 1000).group.tolist()
    ([0, 1, 2, 3, 3], [0, 1, 2, 3, 4])
    """
    counts = reference_counts(profile)
    cells = np.arange(len(counts))
    group = cells if profile.numeric else _grouped(counts, rows)
    return Ruler(profile.numeric, group, np.bincount(group, weights=counts) / profile.rows)


def _grouped(counts: np.ndarray, rows: int) -> np.ndarray:
    """Labels that enough rows will have by themselves, all others in one last group."""
    alone = counts * rows >= EXPECTED * counts.sum()
    alone[[NULL, NEW]] = True
    return np.where(alone, alone.cumsum() - 1, alone.sum())
