"""The trees of a histogram gradient boosting model, asked all at once.

scikit-learn asks one tree after the other, 2 µs each to get there: for a single row that is all of the time. Here the
trees hang under one another as one: above them stand nodes that lead by the number of a tree, which is one more
feature, so that one call answers for a row as often as there are trees. More rows are asked by `masks`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from evergreen.serving.encode import Encoder
from evergreen.serving.masks import Masks, masks
from evergreen.serving.uncompiled import NotCompilable

Matrix = npt.NDArray[Any]
# Up to so many rows one call over all trees costs least; beyond, masks do.
FEW = 4
# Where there are no masks, going from tree to tree costs less than leading every row to every tree beyond this.
SOME = 64
# So many pairs of a row and a tree are asked about at once: a few megabytes.
PAIRS = 20_000


@dataclass(frozen=True)
class HistogramTrees:
    """`order` puts the columns as the trees number them: categories first. `joined` holds all trees as one."""

    order: Matrix | None
    baseline: Matrix
    singles: tuple[tuple[Any, Any], ...]
    known: Any
    places: Any
    joined: Any
    bitsets: Any
    shape: tuple[int, int]
    masks: Masks | None

    def scores(self, matrix: Matrix) -> Matrix:
        """Raw scores, shape (rows, trees an iteration)."""
        wide = (matrix if self.order is None else matrix[:, self.order]).astype(np.float64)
        if self.masks is not None and len(wide) > FEW:
            return np.asarray(self.masks.sums(wide, self.shape[1]) + self.baseline)
        if len(wide) > SOME:
            return self._one_by_one(wide)
        return in_parts(self._at_once, wide, self.shape[0] * self.shape[1])

    def _at_once(self, matrix: Matrix) -> Matrix:
        from sklearn.ensemble._hist_gradient_boosting._predictor import _predict_from_raw_data

        rows, columns = matrix.shape
        iterations, width = self.shape
        trees = iterations * width
        # All rows of one tree after another: its nodes stay at hand.
        asked = np.empty((trees, rows, columns + 1))
        asked[:, :, :columns] = matrix
        asked[:, :, columns] = np.arange(trees)[:, np.newaxis]
        leaves = np.empty(trees * rows)
        flat = asked.reshape(trees * rows, columns + 1)
        _predict_from_raw_data(self.joined, flat, self.bitsets, self.known, self.places, 1, leaves)
        parts = leaves.reshape(iterations, width, rows)
        parts[0] += self.baseline[:, np.newaxis]
        # One after the other, where a plain sum would take them in pairs: the last digit is scikit-learn's as well.
        return np.asarray(np.add.accumulate(parts, axis=0)[-1].T)

    def _one_by_one(self, matrix: Matrix) -> Matrix:
        from sklearn.ensemble._hist_gradient_boosting._predictor import _predict_from_raw_data

        scores = np.empty((self.shape[1], len(matrix)))
        scores[:] = self.baseline[:, np.newaxis]
        leaves = np.empty(len(matrix))
        for number, (nodes, bitsets) in enumerate(self.singles):
            _predict_from_raw_data(nodes, matrix, bitsets, self.known, self.places, 1, leaves)
            scores[number % self.shape[1]] += leaves
        return scores.T


def in_parts(ask: Callable[[Matrix], Matrix], matrix: Matrix, trees: int) -> Matrix:
    """What is said to the rows, asked about so few at a time that their pairs with trees fit into the memory."""
    most = max(1, PAIRS // trees)
    if len(matrix) <= most:
        return ask(matrix)
    return np.vstack([ask(matrix[start : start + most]) for start in range(0, len(matrix), most)])


def histogram_trees(estimator: Any, encoder: Encoder) -> HistogramTrees:
    """The trees of a fitted estimator. Raises NotCompilable where it numbers categories in its own way."""
    predictors = [predictor for iteration in estimator._predictors for predictor in iteration]
    known, places = estimator._bin_mapper.make_known_categories_bitsets()
    bitsets = [predictor.raw_left_cat_bitsets for predictor in predictors]
    return HistogramTrees(
        order=_order(estimator, encoder),
        baseline=np.asarray(estimator._baseline_prediction, dtype=np.float64).ravel(),
        singles=tuple((predictor.nodes, predictor.raw_left_cat_bitsets) for predictor in predictors),
        known=known,
        places=places,
        joined=_join([predictor.nodes for predictor in predictors], [len(b) for b in bitsets], encoder.width),
        bitsets=np.ascontiguousarray(np.concatenate(bitsets)),
        shape=(len(estimator._predictors), estimator.n_trees_per_iteration_),
        masks=_masks([(predictor.nodes, predictor.raw_left_cat_bitsets) for predictor in predictors], known, places),
    )


def _masks(trees: list[tuple[Any, Any]], known: Any, places: Any) -> Masks | None:
    """None where the trees are too large for them."""
    try:
        return masks(trees, known, places)
    except NotCompilable:
        return None


def _order(estimator: Any, encoder: Encoder) -> Matrix | None:
    """How columns are put for the trees; None where they stay as they are."""
    if estimator._preprocessor is None:
        return None
    mask = np.asarray(estimator.is_categorical_)
    highest = {category.start: max(category.codes.table.values(), default=0) for category in encoder.categories}
    found = estimator._preprocessor.named_transformers_["encoder"].categories_
    for column, known in zip(np.flatnonzero(mask).tolist(), found, strict=True):
        codes = np.asarray(known, dtype=np.float64)
        codes = codes[~np.isnan(codes)]
        blank = encoder.unknown is not None and bool(encoder.unknown[column])
        if not np.array_equal(codes, np.arange(len(codes))) or (not blank and highest[column] >= len(codes)):
            raise NotCompilable("its categories are not numbered as the encoder numbers them")
    return np.concatenate([np.flatnonzero(mask), np.flatnonzero(~mask)])


def _join(trees: list[Any], bitsets: list[int], feature: int) -> Any:
    """All nodes as one array; the first lead to the tree whose number stands in column `feature`."""
    leading = len(trees) - 1
    nodes = np.concatenate([np.zeros(leading, dtype=trees[0].dtype), *trees])
    starts = leading + np.concatenate([[0], np.cumsum([len(tree) for tree in trees])])[:-1]
    sets = np.concatenate([[0], np.cumsum(bitsets)])[:-1]
    for tree, start, offset in zip(trees, starts.tolist(), sets.tolist(), strict=True):
        part = nodes[start : start + len(tree)]
        part["left"] += np.uint32(start)
        part["right"] += np.uint32(start)
        part["bitset_idx"] += np.uint32(offset)
    for node, (left, right, threshold) in enumerate(leads(starts.tolist())):
        nodes[node]["left"], nodes[node]["right"] = left, right
        nodes[node]["feature_idx"], nodes[node]["num_threshold"] = feature, threshold
    return nodes


def leads(roots: list[int]) -> list[tuple[int, int, float]]:
    """Nodes that lead to roots by their number: left, right, and the threshold up to which it is left.

    >>> leads([2, 9, 11])
    [(2, 1, 0.5), (9, 11, 1.5)]
    """
    nodes: list[tuple[int, int, float]] = []

    def lead(low: int, high: int) -> int:
        if high - low == 1:
            return roots[low]
        middle, place = (low + high) // 2, len(nodes)
        nodes.append((0, 0, 0.0))
        left, right = lead(low, middle), lead(middle, high)
        nodes[place] = (left, right, middle - 0.5)
        return place

    lead(0, len(roots))
    return nodes
