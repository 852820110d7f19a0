"""Metrics that follow from the confusion matrix, for one matrix or for thousands of resampled ones at once.

Per class k three counts suffice: rows of the class, rows predicted as it, and rows that are both. Definitions as in
scikit-learn with `zero_division=0`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from evergreen.evaluation.outputs import FloatArray, IntArray, Labels


class Counts(NamedTuple):
    """Arrays of shape (..., classes): true, predicted, and true and predicted."""

    true: FloatArray
    predicted: FloatArray
    both: FloatArray


def count(outputs: Labels, unit: IntArray, units: int) -> FloatArray:
    """The three counts within each unit, side by side: shape (units, 3 x classes). `unit` gives the unit of a row."""
    size = len(outputs.classes)
    if (outputs.y < 0).any() or (outputs.predicted < 0).any():
        return np.full((units, 3 * size), np.nan)
    right = outputs.y == outputs.predicted
    cells = (unit * size + outputs.y, unit * size + outputs.predicted, (unit * size + outputs.y)[right])
    return np.hstack([np.bincount(c, minlength=units * size).reshape(units, size) for c in cells]).astype(np.float64)


def finish(formula: Callable[[Counts], FloatArray]) -> Callable[[FloatArray], FloatArray]:
    """A formula over counts as one over the array that `count` yields, after summing any units."""

    def finished(sums: FloatArray) -> FloatArray:
        return formula(Counts(*np.split(sums, 3, axis=-1)))

    return finished


def accuracy(counts: Counts) -> FloatArray:
    """Share of rows predicted right."""
    return _ratio(counts.both.sum(-1), counts.true.sum(-1), np.nan)


def balanced_accuracy(counts: Counts) -> FloatArray:
    """Mean recall over the classes that are there; NaN when there is only one to balance."""
    present = counts.true > 0
    mean = _ratio(_recall(counts).sum(-1), present.sum(-1), np.nan)
    return np.where(present.sum(-1) > 1, mean, np.nan)


def weighted(per_class: Callable[[Counts], FloatArray]) -> Callable[[Counts], FloatArray]:
    """Mean over classes, weighted by their rows."""
    return lambda counts: _ratio((per_class(counts) * counts.true).sum(-1), counts.true.sum(-1), np.nan)


def macro(per_class: Callable[[Counts], FloatArray]) -> Callable[[Counts], FloatArray]:
    """Plain mean over the classes that are there or were predicted."""
    return lambda counts: _ratio(per_class(counts).sum(-1), (counts.true + counts.predicted > 0).sum(-1), np.nan)


def positive(per_class: Callable[[Counts], FloatArray]) -> Callable[[Counts], FloatArray]:
    """The value of the second of two classes; NaN with more classes, or where no row has it."""

    def of_positive(counts: Counts) -> FloatArray:
        if counts.true.shape[-1] != 2:
            return np.full(counts.true.shape[:-1], np.nan)
        return np.where(counts.true[..., 1] > 0, per_class(counts)[..., 1], np.nan)

    return of_positive


def precision(counts: Counts) -> FloatArray:
    """Per class: of the rows predicted as it, the share that are."""
    return _ratio(counts.both, counts.predicted, 0.0)


def _recall(counts: Counts) -> FloatArray:
    return _ratio(counts.both, counts.true, 0.0)


def recall(counts: Counts) -> FloatArray:
    """Per class: of its rows, the share predicted as it."""
    return _recall(counts)


def f1(counts: Counts) -> FloatArray:
    """Per class: harmonic mean of precision and recall."""
    return _ratio(2 * counts.both, counts.true + counts.predicted, 0.0)


def _ratio(above: FloatArray, below: FloatArray, where_zero: float) -> FloatArray:
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    return np.divide(above, below, out=np.full(np.broadcast(above, below).shape, where_zero), where=below != 0)
