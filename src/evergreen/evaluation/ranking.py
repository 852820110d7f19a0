"""Metrics that need the rows in order. Sorted once, then evaluated for any whole row weights.

Scores that are equal share a step of the curve, as in scikit-learn.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from evergreen.evaluation.outputs import FloatArray, IntArray, Labels, Numbers, Outputs

Weighted = Callable[[FloatArray], float]
Steps = tuple[FloatArray, FloatArray]
Curve = Callable[[Steps], float]


def area(curve: Curve) -> Callable[[Outputs], Weighted]:
    """A curve's area of the positive class, or, with more than two classes, of each against the rest, by its rows."""

    def prepare(outputs: Outputs) -> Weighted:
        assert isinstance(outputs, Labels)
        if outputs.probabilities is None or (outputs.y < 0).any() or not np.isfinite(outputs.probabilities).all():
            return lambda _: np.nan
        columns = [1] if len(outputs.classes) == 2 else range(len(outputs.classes))
        present = [k for k in columns if (outputs.y == k).any()]
        parts = [_prepare_class(outputs.y == k, outputs.probabilities[:, k]) for k in present]
        return partial(_weigh_classes, curve, parts)

    return prepare


def median_absolute_error(outputs: Outputs) -> Weighted:
    """The weighted median of the absolute errors; the mean of the middle two where it falls between them."""
    assert isinstance(outputs, Numbers)
    errors = np.abs(outputs.y - outputs.predicted)
    order = np.argsort(errors, kind="stable")
    ranked = errors[order]

    def weigh(weights: FloatArray) -> float:
        cumulated = np.cumsum(weights[order])
        if not np.isfinite(ranked).all() or not len(ranked) or cumulated[-1] == 0:
            return np.nan
        middle = [(cumulated[-1] - 1) // 2, cumulated[-1] // 2]
        return float(ranked[np.searchsorted(cumulated, middle, side="right")].mean())

    return weigh


def roc_area(steps: Steps) -> float:
    """Chance that a positive row scores above a negative one, equal scores counting half (Mann-Whitney)."""
    positive, negative = steps
    pairs = positive.sum() * negative.sum()
    if pairs == 0:
        return np.nan
    return float(1 - (positive * (np.cumsum(negative) - negative / 2)).sum() / pairs)


def average_precision(steps: Steps) -> float:
    """Precision averaged over the steps of recall."""
    positive, negative = steps
    if positive.sum() == 0 or negative.sum() == 0:
        return np.nan
    right = np.cumsum(positive)
    flagged = right + np.cumsum(negative)
    precision = np.divide(right, flagged, out=np.zeros_like(right), where=flagged > 0)
    return float((positive * precision).sum() / positive.sum())


def _prepare_class(positive: np.ndarray, scores: FloatArray) -> tuple[np.ndarray, IntArray, IntArray]:
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    return positive[order], order, starts


def _weigh_classes(curve: Curve, parts: list[tuple[np.ndarray, IntArray, IntArray]], weights: FloatArray) -> float:
    total = share = 0.0
    for positive, order, starts in parts:
        ranked = weights[order]
        hits = np.add.reduceat(ranked * positive, starts)
        rows = hits.sum()
        # A class that this resample lacks has no curve and no rows to weigh it with.
        if rows > 0:
            total += rows * curve((hits, np.add.reduceat(ranked, starts) - hits))
            share += rows
    return total / share if share else np.nan
