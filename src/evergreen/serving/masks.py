"""Trees of few leaves for many rows: each feature of a row rules out leaves of all trees at once.

A node that sends a row right rules out every leaf on its left. What all nodes of one feature rule out depends only on
where its value stands among their thresholds, so that it is worked out beforehand, as one word of bits a tree. The
words of a row's features, joined by AND, leave the leaf that it falls into as the first that is not ruled out
(QuickScorer, Lucchese et al. 2015, with the thresholds of a feature taken together).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from evergreen.serving.uncompiled import NotCompilable

Matrix = npt.NDArray[Any]
_MOST_LEAVES = 64
_MOST_BYTES = 32 * 2**20
# So many bytes of words fit into a core's own cache.
_BLOCK_BYTES = 65_536
# Cells of equal width between the lowest threshold and the highest, and how many thresholds one may hold.
_CELLS = 1_024
_MOST_IN_CELL = 3
_CATEGORIES = 256


@dataclass(frozen=True)
class Grid:
    """Where values stand among thresholds, in a third of the time of a binary search, which guesses at every step.

    A value's cell leaves the thresholds of that cell to be compared with. Cells grow with values, rounding or not:
    what is in a lower one is smaller. `below` counts the thresholds in lower cells, `most` is the most in one cell.
    """

    low: float
    scale: float
    below: Matrix
    thresholds: Matrix
    most: int

    def places(self, values: Matrix) -> Matrix:
        """How many thresholds are smaller than each value; anything for a NaN."""
        first = self.below[_cells(values, self.low, self.scale)]
        found = first.copy()
        for step in range(self.most):
            found += self.thresholds[first + step] < values
        return found


def _cells(values: Matrix, low: float, scale: float) -> Matrix:
    with np.errstate(invalid="ignore", over="ignore"):
        cells = (values - low) * scale
        # A NaN is neither, and becomes the lowest.
        return np.fmin(np.fmax(cells, 0.0), _CELLS - 1.0).astype(np.intp)


def _grid(thresholds: Matrix) -> Grid | None:
    """None where it would not be quicker, as they lie too close to each other."""
    low, high = float(thresholds[0]), float(thresholds[-1])
    scale = _CELLS / (high - low) if high > low else 0.0
    if not 0.0 < scale < np.inf:
        return None
    counts = np.bincount(_cells(thresholds, low, scale), minlength=_CELLS)
    most = int(counts.max())
    if most > _MOST_IN_CELL:
        return None
    # Beyond the last one nothing is smaller.
    ended = np.append(thresholds, np.full(most, np.inf))
    return Grid(low, scale, np.cumsum(counts) - counts, ended, most)


@dataclass(frozen=True)
class Ruling:
    """What one feature rules out: a row of words for each place among `thresholds`, the last for a missing value.

    A category is its own place; `thresholds` is None then.
    """

    feature: int
    thresholds: Matrix | None
    words: Matrix
    grid: "Grid | None" = None

    def places(self, values: Matrix) -> Matrix:
        """The row of `words` for each value."""
        missing = np.isnan(values)
        if self.thresholds is not None:
            found = np.searchsorted(self.thresholds, values) if self.grid is None else self.grid.places(values)
        else:
            missing |= values < 0
            found = np.where(missing, 0, values).astype(np.intp)
        found[missing] = len(self.words) - 1
        return found


@dataclass(frozen=True)
class Masks:
    """Rulings of all features, and the values of the trees' leaves from left to right, one row a tree."""

    rulings: tuple[Ruling, ...]
    leaves: Matrix
    word: Any

    def sums(self, matrix: Matrix, width: int) -> Matrix:
        """The sums of every `width`-th tree's leaf values, from each of the first trees on: shape (rows, width)."""
        places = [ruling.places(matrix[:, ruling.feature]) for ruling in self.rulings]
        found = np.empty((len(matrix), width))
        first = np.arange(len(self.leaves)) * self.leaves.shape[1]
        rows = max(1, _BLOCK_BYTES // (len(self.leaves) * np.dtype(self.word).itemsize))
        for start in range(0, len(matrix), rows):
            block = slice(start, start + rows)
            left = np.full((len(matrix[block]), len(self.leaves)), ~self.word(0), dtype=self.word)
            part = np.empty_like(left)
            for ruling, where in zip(self.rulings, places, strict=True):
                np.take(ruling.words, where[block], axis=0, out=part, mode="clip")
                left &= part
            # The number of zeros below the lowest bit.
            place = np.bitwise_count(~left & (left - self.word(1))) + first
            values = np.take(self.leaves, place, mode="clip")
            np.sum(values.reshape(len(values), -1, width), axis=1, out=found[block])
        return found


def masks(trees: Sequence[tuple[Any, Any]], known: Any, places: Any) -> Masks:
    """The masks of trees, each its nodes and its sets of categories; `known` and `places` as scikit-learn has them.

    Raises NotCompilable where a tree has more leaves than a word has bits, or where the tables would be large.
    """
    most = max(int(nodes["is_leaf"].sum()) for nodes, _ in trees)
    if most > _MOST_LEAVES:
        raise NotCompilable(f"a tree has {most} leaves")
    word = np.uint32 if most <= 32 else np.uint64
    values = np.zeros((len(trees), most))
    tables = _tables([nodes for nodes, _ in trees], word)
    for number, (nodes, sets) in enumerate(trees):
        for node, below, leaves in _walk(nodes):
            if below is None:
                values[number, leaves.bit_length() - 1] = node["value"]
            else:
                ruling = tables[int(node["feature_idx"])]
                right = _right(node, ruling, sets, known, places)
                ruling.words[right, number] &= ~word(below)
    return Masks(tuple(tables.values()), values, word)


def _tables(trees: list[Any], word: Any) -> dict[int, Ruling]:
    """An empty ruling for each feature that some node asks about."""
    nodes = np.concatenate(trees)
    nodes = nodes[nodes["is_leaf"] == 0]
    found: dict[int, Ruling] = {}
    for feature in np.unique(nodes["feature_idx"]).tolist():
        asking = nodes[nodes["feature_idx"] == feature]
        categorical = bool(asking["is_categorical"].any())
        thresholds = None if categorical else np.unique(asking["num_threshold"])
        rows = (_CATEGORIES if thresholds is None else len(thresholds) + 1) + 1
        grid = None if thresholds is None else _grid(thresholds)
        found[feature] = Ruling(feature, thresholds, np.full((rows, len(trees)), ~word(0), dtype=word), grid)
    if sum(ruling.words.nbytes for ruling in found.values()) > _MOST_BYTES:
        raise NotCompilable("the tables of its trees would be large")
    return found


def _walk(nodes: Any) -> list[tuple[Any, int | None, int]]:
    """Each node with the bits of the leaves on its left (None for a leaf) and of all leaves below it."""
    found: list[tuple[Any, int | None, int]] = []

    def walk(index: int, leaf: int) -> int:
        node = nodes[index]
        if node["is_leaf"]:
            found.append((node, None, 1 << leaf))
            return leaf + 1
        middle = walk(int(node["left"]), leaf)
        last = walk(int(node["right"]), middle)
        found.append((node, (1 << middle) - (1 << leaf), (1 << last) - (1 << leaf)))
        return last

    walk(0, 0)
    return found


def _right(node: Any, ruling: Ruling, sets: Any, known: Any, places: Any) -> Any:
    """True for each place of a feature from which a node sends rows right."""
    rows = len(ruling.words)
    missing = not node["missing_go_to_left"]
    if ruling.thresholds is not None:
        right = np.arange(rows) > np.searchsorted(ruling.thresholds, node["num_threshold"])
    else:
        left, there = _bits(sets[node["bitset_idx"]]), _bits(known[places[node["feature_idx"]]])
        right = np.append(np.where(left, False, there | missing), missing)
    right[-1] = missing
    return right


def _bits(words: Any) -> Matrix:
    """Eight words of 32 bits as 256 truth values."""
    return np.unpackbits(np.ascontiguousarray(words).view(np.uint8), bitorder="little").astype(bool)
