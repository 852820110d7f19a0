"""Probabilities that can be believed, and what answers cost if they are."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from evergreen.evaluation.baseline import row_losses
from evergreen.evaluation.outputs import FloatArray, Labels, align

# Fewer of a class, or of the others, and steps would follow chance: two parameters are fitted instead.
_ENOUGH_FOR_STEPS = 200


@dataclass(frozen=True, eq=False)
class Calibrators:
    """One monotone curve a class, from the probability that was given to the share that it came true of."""

    classes: tuple[str, ...]
    curves: tuple[Any, ...]

    def believable(self, given: FloatArray) -> FloatArray:
        """Calibrated probabilities, which add up to 1 in each row; one column a class, as in `given`."""
        if len(self.classes) == 2:
            second = self.curves[1].predict(given[:, 1])
            return np.column_stack([1 - second, second])
        raw = np.column_stack([curve.predict(column) for curve, column in zip(self.curves, given.T, strict=True)])
        total = raw.sum(axis=1, keepdims=True)
        return np.where(total > 0, raw / np.where(total > 0, total, 1.0), given)


@dataclass(frozen=True)
class Sigmoid:
    """A logistic curve over the log odds (Platt 1999)."""

    slope: float
    offset: float

    def predict(self, given: FloatArray) -> FloatArray:
        """The calibrated probability of each."""
        return np.asarray(1 / (1 + np.exp(-np.clip(self.slope * _log_odds(given) + self.offset, -500, 500))))


@dataclass(frozen=True, eq=False)
class Steps:
    """A monotone line through the knots of an isotonic regression (Zadrozny and Elkan 2002)."""

    at: FloatArray
    share: FloatArray

    def predict(self, given: FloatArray) -> FloatArray:
        """The calibrated probability of each."""
        return np.interp(given, self.at, self.share)


def fit_calibrators(labels: Labels) -> Calibrators:
    """Curves that make the probabilities of labelled rows believable. Raises ValueError without probabilities."""
    if labels.probabilities is None:
        raise ValueError("a model without probabilities has nothing to calibrate")
    columns = enumerate(labels.probabilities.T)
    return Calibrators(labels.classes, tuple(_fit(given, labels.y == place) for place, given in columns))


def expected_losses(labels: Labels, believable: FloatArray, metric: str) -> FloatArray:
    """What each row costs on average, were each class true with its believable probability; targets are not read.

    >>> sure = Labels(np.array([-1]), np.array([1]), ("no", "yes"), np.array([[0.0, 1.0]]))
    >>> expected_losses(sure, np.array([[0.25, 0.75]]), "accuracy")
    array([0.25])
    """
    return np.asarray((believable * class_costs(labels, metric)).sum(axis=1))


def class_costs(labels: Labels, metric: str) -> FloatArray:
    """What each row's answer costs were each class true: one column a class."""
    places = np.arange(len(labels.classes))[:, None] + np.zeros(len(labels.y), dtype=np.int64)
    true = (Labels(y, labels.predicted, labels.classes, labels.probabilities) for y in places)
    return np.column_stack([row_losses(each, metric) for each in true])


def as_known(labels: Labels, classes: tuple[str, ...]) -> Labels:
    """Answers over a known set of classes, in its order; a label that is not among them becomes a missing one."""
    if labels.classes == classes or labels.probabilities is None:
        return labels
    at = {name: place for place, name in enumerate(classes)}
    places = np.array([*(at.get(name, -1) for name in labels.classes), -1], dtype=np.int64)
    kept = [place for place, name in enumerate(labels.classes) if name in at]
    matrix = align(labels.probabilities[:, kept], [labels.classes[place] for place in kept], classes)
    return Labels(places[labels.y], places[labels.predicted], classes, matrix)


def _fit(given: FloatArray, true: Any) -> Any:
    if min(true.sum(), (~true).sum()) < _ENOUGH_FOR_STEPS:
        return _fit_sigmoid(given, true)
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(given, true.astype(np.float64))
    return Steps(fitted.X_thresholds_, fitted.y_thresholds_)


def _fit_sigmoid(given: FloatArray, true: Any) -> Sigmoid:
    share = (true.sum() + 1) / (len(true) + 2)
    if true.all() or not true.any() or np.ptp(given) == 0:
        return Sigmoid(0.0, float(np.log(share / (1 - share))))
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=100.0).fit(_log_odds(given)[:, None], true)
    return Sigmoid(float(fitted.coef_[0, 0]), float(fitted.intercept_[0]))


def _log_odds(given: FloatArray) -> FloatArray:
    # Trees give 0 and 1: an error of one row in a million should not be infinite.
    inside = np.clip(given, 1e-6, 1 - 1e-6)
    return np.log(inside / (1 - inside))
