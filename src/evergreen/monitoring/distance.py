"""How far counts are from the reference: one figure from 0 to 1 that reads as a share of rows."""

from dataclasses import dataclass

import numpy as np

from evergreen.drift.profile import ColumnProfile
from evergreen.monitoring.cells import NEW, NULL, reference_counts

# Labels of which fewer rows are expected, in the window or in the reference, are one cell.
EXPECTED = 5


@dataclass(frozen=True)
class Ruler:
    """What a column of a window is measured with: of numbers Kolmogorov's D, of labels the total variation distance.

    `group[cell]` says where a cell of the window is counted; `shares` are the reference's, by group.
    """

    ordered: bool
    group: np.ndarray
    shares: np.ndarray

    def of_counts(self, counts: np.ndarray) -> float:
        """The distance of counts by cell from the reference."""
        grouped = np.bincount(self.group, weights=counts, minlength=len(self.shares))
        return float(distance(grouped / counts.sum(), self.shares, self.ordered))


def distance(shares: np.ndarray, reference: np.ndarray, ordered: bool) -> np.ndarray:
    """Of shares, in the last axis, from others: Kolmogorov's D where their order counts, else the total variation.

    >>> float(distance(np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.5, 0.25]), ordered=True))
    0.25
    """
    difference = shares - reference
    if ordered:
        return np.abs(difference.cumsum(axis=-1)).max(axis=-1)
    return np.abs(difference).sum(axis=-1) / 2


def ruler(profile: ColumnProfile, counts: np.ndarray, rows: int) -> Ruler:
    """The ruler of a column whose window has these counts; beyond the profile's cells they are of new labels.

    Labels stand alone where at least five of `rows` rows are expected to have them. That is decided from both sides
    together: by the reference's counts alone, those that stand would be those that it has too many of by chance.

    >>> few = ColumnProfile("category", 100, 0, values=("a", "b", "c"), counts=(90, 6, 4))
    >>> ruler(few, np.array([0, 0, 90, 6, 4]), 100).group.tolist()
    [0, 3, 1, 2, 3]
    >>> ruler(few, np.array([0, 0, 60, 6, 4, 30]), 100).group.tolist()
    [0, 4, 1, 2, 4, 3]
    """
    reference = reference_counts(profile)
    reference = np.append(reference, np.zeros(len(counts) - len(reference), dtype=np.int64))
    group = np.arange(len(counts)) if profile.numeric else _grouped(reference + counts, rows)
    return Ruler(profile.numeric, group, np.bincount(group, weights=reference) / profile.rows)


def _grouped(pooled: np.ndarray, rows: int) -> np.ndarray:
    """Labels that enough rows will have by themselves, and nulls; all others in one last group."""
    alone = pooled * rows >= EXPECTED * pooled.sum()
    alone[NULL], alone[NEW] = True, False
    return np.where(alone, alone.cumsum() - 1, alone.sum())
