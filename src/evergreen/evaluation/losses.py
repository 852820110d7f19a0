"""Metrics that follow from sums of per-row losses."""

from collections.abc import Callable

import numpy as np

from evergreen.evaluation.outputs import FloatArray, IntArray, Labels, Numbers, Outputs

Rows = Callable[[Outputs], FloatArray]


def summed(rows: Rows) -> Callable[[Outputs, IntArray, int], FloatArray]:
    """Sums of each column of `rows(outputs)`, and the row count as last column, within each unit."""

    def sums(outputs: Outputs, unit: IntArray, units: int) -> FloatArray:
        columns = np.atleast_2d(rows(outputs).T)
        totals = [np.bincount(unit, weights=column, minlength=units) for column in columns]
        return np.stack([*totals, np.bincount(unit, minlength=units)], axis=-1).astype(np.float64)

    return sums


def mean(sums: FloatArray) -> FloatArray:
    """First column over the count."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums[..., 0] / sums[..., -1]


def root_mean(sums: FloatArray) -> FloatArray:
    """Square root of `mean`."""
    return np.sqrt(mean(sums))


def explained(sums: FloatArray) -> FloatArray:
    """R²: 1 - squared error over the spread of the target; NaN where the target is constant.

    Columns: squared error, deviation of the target from any fixed value, its square, count.
    """
    error, deviation, square, count = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = square - deviation**2 / count
        # What is left of a constant target after rounding is no spread.
        return np.where(spread > 1e-12 * np.maximum(square, 1e-300), 1 - error / spread, np.nan)


def log_loss_rows(outputs: Outputs) -> FloatArray:
    """-log of the probability given to the true class, kept away from 0 and 1 by the machine's epsilon."""
    chosen = _of_true_class(outputs)
    epsilon = np.finfo(np.float64).eps
    return -np.log(np.clip(chosen, epsilon, 1 - epsilon))


def brier_rows(outputs: Outputs) -> FloatArray:
    """Squared distance of the probabilities from the truth; of the positive class alone when there are two."""
    labels = _labels(outputs)
    chosen = _of_true_class(labels)
    if labels.probabilities is None or len(labels.classes) == 2:
        return (1 - chosen) ** 2
    return (labels.probabilities**2).sum(axis=1) - chosen**2 + (1 - chosen) ** 2


def absolute_rows(outputs: Outputs) -> FloatArray:
    """Absolute error of a row."""
    return np.abs(_error(outputs))


def square_rows(outputs: Outputs) -> FloatArray:
    """Squared error of a row."""
    return _error(outputs) ** 2


def percentage_rows(outputs: Outputs) -> FloatArray:
    """Absolute error as a share of the target; infinite or NaN at a target of 0, where it has no meaning."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.abs(_error(outputs)) / np.abs(_numbers(outputs).y)


def explained_rows(outputs: Outputs) -> FloatArray:
    """What `explained` sums, with the target centred so that large values lose no digits."""
    deviation = _numbers(outputs).y - _numbers(outputs).y.mean()
    return np.stack([square_rows(outputs), deviation, deviation**2], axis=-1)


def _error(outputs: Outputs) -> FloatArray:
    numbers = _numbers(outputs)
    return numbers.y - numbers.predicted


def _of_true_class(outputs: Outputs) -> FloatArray:
    labels = _labels(outputs)
    if labels.probabilities is None or (labels.y < 0).any():
        return np.full(len(labels.y), np.nan)
    return labels.probabilities[np.arange(len(labels.y)), labels.y]


def _labels(outputs: Outputs) -> Labels:
    assert isinstance(outputs, Labels)
    return outputs


def _numbers(outputs: Outputs) -> Numbers:
    assert isinstance(outputs, Numbers)
    return outputs
