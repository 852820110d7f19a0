"""A column as counts over the cells of the reference's profile: small, and the counts of two chunks add up."""

import numpy as np
import pandas as pd

from evergreen.drift.compare import bin_counts
from evergreen.drift.profile import ColumnProfile
from evergreen.drift.values import count_labels, read_numbers

# The first cell counts nulls. Of numbers the others ascend, so that a null is a value below all others; of labels the
# second counts those that the reference does not have.
NULL, NEW = 0, 1


def count_column(column: pd.Series, profile: ColumnProfile) -> np.ndarray:
    """Rows in each cell.

    Raises:
        ValueError: The column cannot be read as the reference's type.

    >>> known = ColumnProfile("category", 4, 0, values=("a", "b"), counts=(3, 1))
    >>> count_column(pd.Series(["a", None, "c", "a"]), known).tolist()
    [1, 1, 2, 0]
    """
    if profile.numeric:
        return _count_numbers(read_numbers(column), profile)
    counts = np.zeros(2 + len(profile.values), dtype=np.int64)
    places = {label: place for place, label in enumerate(profile.values, start=2)}
    for label, rows in count_labels(column).items():
        counts[places.get(label, NEW)] += rows
    counts[NULL] = len(column) - counts.sum()
    return counts


def encode_column(column: pd.Series, profile: ColumnProfile) -> np.ndarray:
    """The cell of each row of the reference, as `reference_counts` has it.

    Raises:
        ValueError: The column cannot be read as the profile's type.
    """
    if profile.numeric:
        return _encode_numbers(read_numbers(column), profile)
    codes, labels = pd.factorize(column)
    places = {label: place for place, label in enumerate(profile.values, start=2) if profile.counts[place - 2] > 1}
    # A null has the code -1, which finds the last of these.
    cells = np.array([*(places.get(str(label), NEW) for label in labels), NULL])
    return cells[codes]


def reference_counts(profile: ColumnProfile) -> np.ndarray:
    """Rows of the reference in each cell.

    A label that the reference has once stands for those that it lacks: the share of such rows estimates the share of
    rows that will have a label never seen before (Good, Biometrika 1953).

    >>> reference_counts(ColumnProfile("category", 5, 1, values=("a", "b"), counts=(3, 1))).tolist()
    [1, 1, 3, 0]
    """
    counts = np.array(profile.counts, dtype=np.int64)
    if not profile.numeric:
        once = counts == 1
        return np.concatenate([[profile.nulls, once.sum()], np.where(once, 0, counts)])
    if not profile.exact:
        return np.concatenate([[profile.nulls], counts, [0]])
    # Where every value is known, the gaps between them are cells as well.
    return np.concatenate([[profile.nulls], np.stack([np.zeros_like(counts), counts], axis=1).ravel(), [0]])


def _count_numbers(values: np.ndarray, profile: ColumnProfile) -> np.ndarray:
    nulls = int(np.isnan(values).sum())
    # Sorting puts NaN last.
    known, edges = np.sort(values)[: len(values) - nulls], np.array(profile.values, dtype=np.float64)
    if not profile.exact:
        return np.concatenate([[nulls], bin_counts(known, edges)])
    sides = [np.searchsorted(known, edges, side="left"), np.searchsorted(known, edges, side="right")]
    cells = np.diff(np.stack(sides, axis=1).ravel(), prepend=0, append=len(known))
    return np.concatenate([[nulls], cells])


def _encode_numbers(values: np.ndarray, profile: ColumnProfile) -> np.ndarray:
    edges = np.array(profile.values, dtype=np.float64)
    place = np.searchsorted(edges, values, side="left")
    if profile.exact:
        place = 2 * place + (np.append(edges, np.nan)[place] == values)
    return np.where(np.isnan(values), NULL, place + 1)
