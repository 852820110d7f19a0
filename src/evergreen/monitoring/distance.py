"""How far counts are from the reference: one figure from 0 to 1 that reads as a share of rows."""

from dataclasses import dataclass

import numpy as np

from evergreen.monitoring.cells import NEW, NULL

# Labels of which fewer rows are expected, of as many as `ruler` is given, are one cell.
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


def ruler(reference: np.ndarray, counts: np.ndarray, rows: int, ordered: bool) -> Ruler:
    """The ruler of a column by the reference's rows in each cell and the window's, which can have more cells: those of
    labels that are new.

    Labels stand alone where at least five of `rows` rows are expected to have them. That is decided from both sides
    together: by the reference's counts alone, those that stand would be those that it has too many of by chance.

    >>> reference = np.array([0, 0, 90, 6, 4])
    >>> ruler(reference, np.array([0, 0, 90, 6, 4]), 100, ordered=False).group.tolist()
    [0, 3, 1, 2, 3]
    >>> ruler(reference, np.array([0, 0, 60, 6, 4, 30]), 100, ordered=False).group.tolist()
    [0, 4, 1, 2, 4, 3]
    """
    known = np.append(reference, np.zeros(len(counts) - len(reference), dtype=np.int64))
    group = np.arange(len(counts)) if ordered else _grouped(known + counts, rows)
    return Ruler(ordered, group, np.bincount(group, weights=known) / known.sum())


def _grouped(pooled: np.ndarray, rows: int) -> np.ndarray:
    """Labels that enough rows will have by themselves, and nulls; all others in one last group."""
    alone = pooled * rows >= EXPECTED * pooled.sum()
    alone[NULL], alone[NEW] = True, False
    return np.where(alone, alone.cumsum() - 1, alone.sum())
