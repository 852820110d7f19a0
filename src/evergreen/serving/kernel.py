"""Trees of few leaves for any number of rows, as machine code: what `masks` does by arrays, a block of rows at a time.

Nothing imports this module but what wants numba, which is an extra and large. It compiles at the first call, in a
second or two; that is when a model is loaded, and its answers are held against those of its pipeline. What it compiles
checks no bounds: `kernel` sees to it that no index is outside.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from evergreen.serving.masks import Masks
from evergreen.serving.uncompiled import NotCompilable

Matrix = npt.NDArray[Any]
# So many rows are asked at once: their words fit into a core's first cache.
_BLOCK = 32
# For counting bits (Warren, Hacker's Delight, 2012, 5-1): words of 64 bits, as numba would else compute with floats.
_ONE = np.uint64(1)
_PAIRS, _FOURS = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333)
_EIGHTS, _BYTES = np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(0x0101010101010101)
_TWO, _FOUR, _TOP = np.uint64(2), np.uint64(4), np.uint64(56)


@dataclass(frozen=True)
class Kernel:
    """The tables of all rulings, one after another.

    For each ruling: its `columns` of the matrix, where its `words` begin (`starts`), how many thresholds it has
    (`counts`, -1 for a category), where they begin (`firsts`), and the longest step of a search among them (`steps`).
    """

    columns: Matrix
    starts: Matrix
    counts: Matrix
    firsts: Matrix
    steps: Matrix
    thresholds: Matrix
    words: Matrix
    leaves: Matrix
    baseline: Matrix
    width: int

    def scores(self, matrix: Matrix) -> Matrix:
        """Raw scores, shape (rows, trees an iteration), to the last digit as scikit-learn adds them up."""
        if matrix.shape[1] != self.width:
            raise ValueError(f"a matrix of {matrix.shape[1]} columns, where {self.width} are asked about")
        found: Matrix = _scores(
            np.ascontiguousarray(matrix),
            (self.columns, self.starts, self.counts, self.firsts, self.steps),
            self.thresholds,
            self.words,
            self.leaves,
            self.baseline,
        )
        return found


def kernel(masks: Masks, order: Matrix | None, baseline: Matrix, width: int) -> Kernel:
    """For masks of trees whose columns are those of a matrix of this width, in this `order` (None: in its own).

    Raises NotCompilable where the trees ask about nothing, or about a column that is not there.
    """
    rulings = masks.rulings
    if not rulings:
        raise NotCompilable("its trees ask about nothing")
    columns = [ruling.feature if order is None else int(order[ruling.feature]) for ruling in rulings]
    if not 0 <= min(columns) <= max(columns) < width:
        raise NotCompilable(f"its trees ask about more than {width} columns")
    counts = [-1 if ruling.thresholds is None else len(ruling.thresholds) for ruling in rulings]
    steps = [0 if count < 0 else 1 << (count.bit_length() - 1) for count in counts]
    # As many as a search of these steps can reach: nothing is beyond an infinite one.
    padded = [
        np.append(ruling.thresholds, np.full(2 * step - 1 - count, np.inf))
        for ruling, count, step in zip(rulings, counts, steps, strict=True)
        if ruling.thresholds is not None
    ]
    return Kernel(
        columns=np.array(columns, dtype=np.intp),
        starts=_begins([len(ruling.words) for ruling in rulings]),
        counts=np.array(counts, dtype=np.intp),
        firsts=_begins([max(0, 2 * step - 1) for step in steps]),
        steps=np.array(steps, dtype=np.intp),
        thresholds=np.concatenate([*padded, np.zeros(0)]),
        words=np.concatenate([ruling.words for ruling in rulings]),
        leaves=masks.leaves.ravel(),
        baseline=baseline,
        width=width,
    )


def _begins(sizes: list[int]) -> Matrix:
    return np.cumsum([0, *sizes])[:-1].astype(np.intp)


@njit(nogil=True)
def _scores(matrix, rulings, thresholds, words, leaves, baseline):  # type: ignore[no-untyped-def]
    trees = words.shape[1]
    found = np.empty((len(matrix), len(baseline)))
    numbers = np.empty(_BLOCK)
    places = np.empty((len(rulings[0]), _BLOCK), np.intp)
    left = np.empty((_BLOCK, trees), words.dtype)
    leaf = np.empty((_BLOCK, trees), np.intp)
    for start in range(0, len(matrix), _BLOCK):
        block = matrix[start : start + _BLOCK]
        _find_places(block, rulings, thresholds, numbers, places)
        _mask_leaves(len(block), places, words, left)
        _find_leaves(len(block), left, len(leaves) // trees, leaf)
        _add_leaves(leaf, leaves, baseline, numbers, found[start : start + _BLOCK])
    return found


@njit(nogil=True)
def _find_places(block, rulings, thresholds, values, places):  # type: ignore[no-untyped-def]
    """The row of the words that each value stands for: of a number as `Ruling.places` says, one step at a time."""
    columns, starts, counts, firsts, steps = rulings
    rows = len(block)
    for number in range(len(columns)):
        begin, first, count, step = starts[number], firsts[number], counts[number], steps[number]
        for row in range(rows):
            values[row] = block[row, columns[number]]
            places[number, row] = first
        if count < 0:
            for row in range(rows):
                known = 0 <= values[row] < 256
                places[number, row] = begin + (np.intp(values[row]) if known else 256)
            continue
        while step > 0:
            # Without a branch, for many rows at once.
            for row in range(rows):
                place = places[number, row]
                places[number, row] = place + (step if thresholds[place + step - 1] < values[row] else 0)
            step >>= 1
        for row in range(rows):
            missing = np.isnan(values[row])
            places[number, row] = begin + (count + 1 if missing else places[number, row] - first)


@njit(nogil=True)
def _mask_leaves(rows, places, words, left):  # type: ignore[no-untyped-def]
    """What is left of each tree's leaves."""
    trees = words.shape[1]
    for row in range(rows):
        place = places[0, row]
        for tree in range(trees):
            left[row, tree] = words[place, tree]
        for number in range(1, len(places)):
            place = places[number, row]
            for tree in range(trees):
                left[row, tree] &= words[place, tree]


@njit(nogil=True)
def _find_leaves(rows, left, most, leaf):  # type: ignore[no-untyped-def]
    """Where the first leaf that is left stands among all: the number of zeros below the lowest bit."""
    for row in range(rows):
        for tree in range(left.shape[1]):
            word = np.uint64(left[row, tree])
            bits = ~word & (word - _ONE)
            bits -= (bits >> _ONE) & _PAIRS
            bits = (bits & _FOURS) + ((bits >> _TWO) & _FOURS)
            bits = (bits + (bits >> _FOUR)) & _EIGHTS
            leaf[row, tree] = tree * most + np.intp((bits * _BYTES) >> _TOP)


@njit(nogil=True)
def _add_leaves(leaf, values, baseline, total, found):  # type: ignore[no-untyped-def]
    """The values of the leaves, tree after tree."""
    rows, width = len(found), len(baseline)
    for number in range(width):
        for row in range(rows):
            total[row] = baseline[number]
        for tree in range(number, leaf.shape[1], width):
            for row in range(rows):
                total[row] += values[leaf[row, tree]]
        for row in range(rows):
            found[row, number] = total[row]
