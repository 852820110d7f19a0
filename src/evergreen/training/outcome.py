"""Fitting an estimator on a matrix, and measuring what it says about another."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from evergreen.errors import SpecError
from evergreen.files import digest_of
from evergreen.training.handles import Recipe
from evergreen.training.recipes import build_estimator

Array = npt.NDArray[Any]


def recipe_digest(recipe: Recipe) -> str:
    """What names a recipe's trials and models; its place in the spec does not matter."""
    return digest_of([recipe.kind, recipe.estimator, recipe.params, recipe.encoding])


def fit_estimator(recipe: Recipe, task: str, seed: int, mask: tuple[bool, ...], X: Array, y: Array) -> Any:
    """The fitted estimator of a recipe; raises SpecError with scikit-learn's words where it refuses the data."""
    estimator = build_estimator(recipe, task, seed, mask)
    try:
        return estimator.fit(readable(recipe, X), y)
    except (ValueError, TypeError) as error:
        raise SpecError(
            f"training.candidates.{recipe.candidate}: {recipe.label} cannot be fitted on {X.shape[0]} rows of "
            f"{X.shape[1]} columns: {error}"
        ) from error


def readable(recipe: Recipe, X: Array) -> Array:
    """X in the precision that a kind computes in: distances between rows need float64 to be the same in any batch."""
    return X.astype(np.float64) if recipe.kind == "k_neighbors" else X


def measure(estimator: Any, metric: str, X: Array, y: Array, classes: tuple[str, ...]) -> float:
    """A metric of an estimator that was fitted on class positions or numbers; NaN where the metric does not exist."""
    from evergreen.evaluation.metrics import METRICS, score_outputs
    from evergreen.evaluation.outputs import Labels, Numbers

    rule = METRICS[metric]
    if not classes:
        value = score_outputs([rule], Numbers(y, np.asarray(estimator.predict(X), dtype=np.float64)))[metric]
        return math.nan if value is None else value
    probabilities = _probabilities(estimator, X, len(classes)) if rule.needs == "probabilities" else None
    labels = Labels(y.astype(np.int64), estimator.predict(X).astype(np.int64), classes, probabilities)
    value = score_outputs([rule], labels)[metric]
    return math.nan if value is None else value


def _probabilities(estimator: Any, X: Array, classes: int) -> Array:
    """One column for each class; 0 for those that the estimator has not seen."""
    if not hasattr(estimator, "predict_proba"):
        raise SpecError(
            f"training.metric reads probabilities and {type(estimator).__name__} gives none; choose a metric of labels"
        )
    probabilities = np.zeros((len(X), classes))
    probabilities[:, estimator.classes_] = estimator.predict_proba(X)
    return probabilities
