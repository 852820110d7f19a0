"""A column as counts over the cells of the reference's profile: small, and the counts of two chunks add up."""

import numpy as np
import pandas as pd

from evergreen.drift.compare import bin_counts
from evergreen.drift.profile import ColumnProfile
from evergreen.drift.values import count_labels, read_numbers

# The first cell counts nulls. Of numbers the others ascend, so that a null is a value below all others; of labels the
# second counts those that the reference does not have, then come those that it has.
NULL, NEW, KNOWN = 0, 1, 2


def count_column(column: pd.Series, profile: ColumnProfile) -> tuple[np.ndarray, dict[str, int]]:
    """Rows in each cell, and labels that the reference does not have with their rows.

    Raises:
        ValueError: The column cannot be read as the reference's type.

    >>> known = ColumnProfile("category", 4, 0, values=("a", "b"), counts=(3, 1))
    >>> counts, new = count_column(pd.Series(["a", None, "c", "a"]), known)
    >>> counts.tolist(), new
    ([1, 1, 2, 0], {'c': 1})
    """
    if profile.numeric:
        return _count_numbers(read_numbers(column), profile), {}
    found = count_labels(column)
    known = [found.pop(str(label), 0) for label in profile.values]
    new = sum(found.values())
    return np.array([len(column) - sum(known) - new, new, *known], dtype=np.int64), found


def encode_column(column: pd.Series, profile: ColumnProfile) -> np.ndarray:
    """The cell of each row.

    Raises:
        ValueError: The column cannot be read as the profile's type.
    """
    if profile.numeric:
        return _encode_numbers(read_numbers(column), profile)
    codes, labels = pd.factorize(column)
    places = {label: place for place, label in enumerate(profile.values, start=KNOWN)}
    # A null has the code -1, which finds the last of these.
    cells = np.array([*(places.get(str(label), NEW) for label in labels), NULL])
    return cells[codes]


def reference_counts(profile: ColumnProfile) -> np.ndarray:
    """Rows of the reference in each cell.

    >>> reference_counts(ColumnProfile("category", 5, 1, values=("a", "b"), counts=(3, 1))).tolist()
    [1, 0, 3, 1]
    """
    counts = np.array(profile.counts, dtype=np.int64)
    if not profile.numeric:
        return np.concatenate([[profile.nulls, 0], counts])
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
