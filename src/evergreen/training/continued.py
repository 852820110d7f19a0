"""Going on from the champion: its own fitted preprocessing and estimator, taught what is new to it.

Only rows that are newer than the champion's training rows are learned from. Estimators with `partial_fit` see them
once; those that add trees (`warm_start`) get as many more as the recipe names, grown on those rows. What the champion
knew of older rows is in it already, and no such row judges it: see `folds.newer_folds`.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from evergreen.errors import IntegrityError, SpecError
from evergreen.training.handles import Recipe, Start
from evergreen.training.recipes import build_estimator
from evergreen.training.table import TrainingTable

Array = npt.NDArray[Any]

# What says how many trees there are, and where scikit-learn keeps how many it has grown.
_TREES = {"n_estimators": "estimators_", "max_iter": "n_iter_"}
# Adds trees with warm_start; scikit-learn's other kinds with that parameter only search their optimum from elsewhere.
_GROWING = ("gradient_boosting", "hist_gradient_boosting", "random_forest", "extra_trees")
_IRRELEVANT = ("warm_start", "n_jobs", "verbose")


@dataclass(frozen=True)
class Positions:
    """A classifier of names that says positions among `classes`, as those that are fitted on positions do."""

    estimator: Any
    classes: tuple[str, ...]

    @property
    def classes_(self) -> Array:
        """Positions."""
        return np.arange(len(self.classes))

    def predict(self, X: Array) -> Array:
        """The position of each answer."""
        return np.searchsorted(np.asarray(self.classes), self.estimator.predict(X))

    def __getattr__(self, name: str) -> Any:
        # Whoever asks whether there are probabilities is to get the estimator's own answer.
        if name == "predict_proba":
            return self.estimator.predict_proba
        raise AttributeError(name)


def named(y: Array, classes: tuple[str, ...]) -> Array:
    """Positions as the names of classes; numbers as they are.

    >>> named(np.array([1, 0]), ("no", "yes")).tolist()
    ['yes', 'no']
    """
    return np.asarray(classes)[y] if classes else y


def fitted_preprocessing(start: Start | None) -> Pipeline:
    """The champion's preprocessing, fitted as it is."""
    return Pipeline(_load(start).steps[:3])


def continued(recipe: Recipe, start: Start | None, seed: int, X: Array, y: Array) -> Any:
    """The champion's estimator, taught further rows; raises SpecError with scikit-learn's words where it refuses."""
    estimator = _load(start)[-1]
    try:
        if _grows(recipe, estimator):
            return _grow(recipe, estimator, seed, X, y)
        return estimator.partial_fit(X, y)
    except (ValueError, TypeError, AttributeError) as error:
        raise SpecError(
            f"training.candidates.{recipe.candidate}: {recipe.label} cannot go on from the champion on {len(X)} rows: "
            f"{error}; take training.start: champion out"
        ) from error


def why_not(recipe: Recipe, table: TrainingTable, seed: int) -> str:
    """Why a recipe cannot go on from the start of a table; empty where it can."""
    pipeline = _load(table.start)
    estimator = pipeline[-1]
    wanted = build_estimator(recipe, table.task, seed)
    if type(estimator) is not type(wanted):
        return f"the champion is a {type(estimator).__name__}"
    if not _grows(recipe, estimator) and not hasattr(estimator, "partial_fit"):
        return f"{type(estimator).__name__} learns from all rows at once"
    if recipe.encoding == "champion":
        return ""
    if _described(Pipeline(pipeline.steps[:3])) != _described(table.preprocessing(recipe.encoding)):
        return "the champion reads other columns, or reads them otherwise"
    if recipe.kind == "hist_gradient_boosting" and any(pipeline["encode"].categorical_mask_):
        return "categories that are missing among new rows would be unknown to the trees that there are"
    return _other_params(recipe, estimator, wanted) or _unfit_rows(estimator, table)


def _load(start: Start | None) -> Pipeline:
    from evergreen.training.fit import load_model

    if start is None:
        raise IntegrityError("a recipe goes on from a champion, and none was kept for it; run the training again")
    return load_model(start.path, start.digest)


def _grows(recipe: Recipe, estimator: Any) -> bool:
    if recipe.kind in _GROWING:
        return True
    return recipe.kind == "custom" and not hasattr(estimator, "partial_fit") and _counter(estimator) is not None


def _counter(estimator: Any) -> str | None:
    """The parameter that says how many trees there are."""
    if "warm_start" not in estimator.get_params():
        return None
    return next(
        (name for name, grown in _TREES.items() if name in estimator.get_params() and hasattr(estimator, grown)), None
    )


def _grow(recipe: Recipe, estimator: Any, seed: int, X: Array, y: Array) -> Any:
    name = str(_counter(estimator))
    grown = getattr(estimator, _TREES[name])
    more = build_estimator(recipe, "classification" if hasattr(estimator, "classes_") else "regression", seed)
    there: int = len(grown) if hasattr(grown, "__len__") else int(grown)
    return estimator.set_params(warm_start=True, **{name: there + int(more.get_params()[name])}).fit(X, y)


def _other_params(recipe: Recipe, estimator: Any, wanted: Any) -> str:
    counter = _counter(estimator) if _grows(recipe, estimator) else None
    now, then = wanted.get_params(deep=False), estimator.get_params(deep=False)
    ignored = {counter, *_IRRELEVANT}
    other = sorted(name for name in now if name not in ignored and repr(now[name]) != repr(then.get(name)))
    return f"the champion has another {other[0]}" if other else ""


def _unfit_rows(estimator: Any, table: TrainingTable) -> str:
    positions = table.train_positions()
    new = table.new_rows(positions)
    if not new.any():
        return "no training row is newer than the champion's"
    y, classes = table.read_target(positions)
    if list(classes) != [str(name) for name in getattr(estimator, "classes_", ())]:
        return "the champion tells other classes apart"
    if classes and len(np.unique(y[new])) < len(classes):
        return "rows that are new to the champion lack a class"
    return ""


def _described(pipeline: Pipeline) -> Mapping[str, Any]:
    """Everything that was said of an unfitted pipeline, comparable."""
    return {name: tuple(_texts(value)) for name, value in pipeline.get_params().items() if name != "steps"}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)
    else:
        yield value.__repr__(N_CHAR_MAX=sys.maxsize) if isinstance(value, BaseEstimator) else repr(value)
