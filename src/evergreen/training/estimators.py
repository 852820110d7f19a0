"""Kinds of candidates: which scikit-learn class each is for a task, what it starts from, which encoding it reads."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from evergreen.errors import SpecError
from evergreen.features.custom import load_class
from evergreen.training.handles import Encoding

Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class Kind:
    """One kind of candidate: `module:Class` for each task it does, default parameters, and its encoding."""

    classes: Mapping[str, str]
    encoding: Encoding
    defaults: Mapping[str, Any] = field(default_factory=dict)


def _both(module: str, stem: str, encoding: Encoding, **defaults: Any) -> Kind:
    names = {"classification": f"{module}:{stem}Classifier", "regression": f"{module}:{stem}Regressor"}
    return Kind(names, encoding, defaults)


def _linear(name: str, task: Task, **defaults: Any) -> Kind:
    return Kind({task: f"sklearn.linear_model:{name}"}, "scaled", defaults)


# Trials run side by side, so that no estimator may take more than one core for itself.
KINDS: Mapping[str, Kind] = {
    "logistic_regression": _linear("LogisticRegression", "classification", max_iter=1000),
    "linear_regression": _linear("LinearRegression", "regression", n_jobs=1),
    "ridge": _linear("Ridge", "regression"),
    "elastic_net": _linear("ElasticNet", "regression", max_iter=5000),
    "gradient_boosting": _both("sklearn.ensemble", "GradientBoosting", "imputed"),
    "hist_gradient_boosting": _both("sklearn.ensemble", "HistGradientBoosting", "native"),
    "random_forest": _both("sklearn.ensemble", "RandomForest", "native", n_jobs=1),
    "extra_trees": _both("sklearn.ensemble", "ExtraTrees", "native", n_jobs=1),
    "decision_tree": _both("sklearn.tree", "DecisionTree", "native"),
    "k_neighbors": _both("sklearn.neighbors", "KNeighbors", "scaled", n_jobs=1),
    "neural_network": _both("sklearn.neural_network", "MLP", "scaled", max_iter=500),
}


def kinds_of(task: str) -> tuple[str, ...]:
    """The kinds that do a task.

    >>> "ridge" in kinds_of("regression"), "ridge" in kinds_of("classification")
    (True, False)
    """
    return (*(name for name, kind in KINDS.items() if task in kind.classes), "custom")


def estimator_class(kind: str, estimator: str | None, task: str, where: str) -> Any:
    """The class of a kind for a task; raises SpecError that starts with `where` and names the choices."""
    if kind == "custom":
        if estimator is None:
            raise SpecError(f"{where}.estimator: is missing; kind custom names its class as module:Class")
        return load_class(estimator, f"{where}.estimator")
    if task not in KINDS[kind].classes:
        raise SpecError(f"{where}.kind: {kind!r} does no {task}; choose one of {', '.join(kinds_of(task))}")
    module, _, name = KINDS[kind].classes[task].partition(":")
    return getattr(importlib.import_module(module), name)


def encoding_of(kind: str) -> Encoding:
    """The encoding that a kind reads; a class of a team's own gets the one that any estimator can read.

    >>> encoding_of("hist_gradient_boosting"), encoding_of("custom")
    ('native', 'scaled')
    """
    return KINDS[kind].encoding if kind in KINDS else "scaled"


def default_params(kind: str, accepted: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """What an estimator starts from: the kind's defaults and the seed, as far as the class accepts them."""
    defaults = {"random_state": seed, **(KINDS[kind].defaults if kind in KINDS else {"n_jobs": 1})}
    return {name: value for name, value in defaults.items() if name in accepted}
