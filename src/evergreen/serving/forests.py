"""Plain decision trees, one or many: the mean of what they say, asked all at once for few rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from evergreen.serving.histograms import in_parts, leads

Matrix = npt.NDArray[Any]
FEW = 32
# A joined copy of the trees takes about 80 bytes a node and class.
_MOST_NODES = 1_000_000


@dataclass(frozen=True)
class Forest:
    """scikit-learn's trees; `joined` is all of them as one, None where there is one, or where they are too large."""

    trees: tuple[Any, ...]
    joined: Any | None

    def means(self, matrix: Matrix) -> Matrix:
        """The mean of the trees' values, shape (rows, classes), or (rows, 1) for a regression."""
        if self.joined is not None and len(matrix) <= FEW:
            return in_parts(self._at_once, matrix, len(self.trees))
        total = np.array(self.trees[0].predict(matrix), dtype=np.float64)
        for tree in self.trees[1:]:
            total += tree.predict(matrix)
        total /= len(self.trees)
        return total

    def _at_once(self, matrix: Matrix) -> Matrix:
        rows, columns = matrix.shape
        count = len(self.trees)
        asked = np.empty((count, rows, columns + 1), dtype=np.float32)
        asked[:, :, :columns] = matrix
        asked[:, :, columns] = np.arange(count)[:, np.newaxis]
        assert self.joined is not None
        leaves = self.joined.predict(asked.reshape(count * rows, columns + 1))
        total = np.add.accumulate(leaves.reshape(count, rows, -1), axis=0)[-1]
        return np.asarray(total / count)


def forest(trees: Sequence[Any], columns: int) -> Forest:
    """Trees that read so many columns."""
    nodes = sum(tree.node_count for tree in trees)
    return Forest(tuple(trees), _join(trees, columns) if len(trees) > 1 and nodes <= _MOST_NODES else None)


def _join(trees: Sequence[Any], feature: int) -> Any:
    """All trees as one scikit-learn tree; its first nodes lead by the number of a tree, in column `feature`."""
    from sklearn.tree._tree import Tree

    states = [tree.__getstate__() for tree in trees]
    leading = len(trees) - 1
    starts = leading + np.concatenate([[0], np.cumsum([state["node_count"] for state in states])])[:-1]
    first = states[0]
    nodes = np.concatenate([np.zeros(leading, first["nodes"].dtype), *(state["nodes"] for state in states)])
    values = np.concatenate([np.zeros((leading, *first["values"].shape[1:])), *(state["values"] for state in states)])
    for state, start in zip(states, starts.tolist(), strict=True):
        part = nodes[start : start + state["node_count"]]
        inner = part["left_child"] >= 0
        part["left_child"][inner] += start
        part["right_child"][inner] += start
    for node, (left, right, threshold) in enumerate(leads(starts.tolist())):
        nodes[node]["left_child"], nodes[node]["right_child"] = left, right
        nodes[node]["feature"], nodes[node]["threshold"] = feature, threshold
    joined = Tree(feature + 1, np.asarray(trees[0].n_classes, dtype=np.intp), trees[0].n_outputs)
    depth = max(state["max_depth"] for state in states) + leading.bit_length() + 1
    joined.__setstate__({"max_depth": depth, "node_count": len(nodes), "nodes": nodes, "values": values})
    return joined
