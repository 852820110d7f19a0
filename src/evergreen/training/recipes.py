"""From candidates and a search to the recipes that are tried, and from recipes to estimators."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evergreen.errors import SpecError
from evergreen.spec.training import Candidate, TrainingSpec
from evergreen.training.estimators import default_params, encoding_of, estimator_class
from evergreen.training.grids import combination, draw, size
from evergreen.training.handles import Recipe
from evergreen.training.search import Plan, best, rungs, select

__all__ = ["Plan", "best", "build_estimator", "plan", "select", "validate_recipes"]


def plan(training: TrainingSpec, task: str) -> Plan:
    """The recipes that a search tries, in order, and its rungs.

    `grid` takes every combination; `random` draws `trials` of them, seeded and without repetition, as evenly over the
    candidates as they allow; `halving` draws the same way and gives the survivors of a round `factor` times the rows.
    Raises SpecError where a candidate does not fit the task or scikit-learn.
    """
    validate_recipes(training, task)
    search, grids = training.search, [candidate.grid for candidate in training.candidates]
    if search.kind == "grid":
        chosen = [(index, position) for index, grid in enumerate(grids) for position in range(size(grid))]
    else:
        chosen = draw([size(grid) for grid in grids], search.trials, training.seed)
    recipes = tuple(_recipe(training.candidates[index], index, position) for index, position in chosen)
    return Plan(recipes, rungs(len(recipes), search.factor if search.kind == "halving" else None))


def validate_recipes(training: TrainingSpec, task: str) -> None:
    """Raise SpecError where a candidate does no such task, or a parameter or value is none of its class.

    The message starts with the place in the spec, such as `training.candidates.1.params.foo`.
    """
    for index, candidate in enumerate(training.candidates):
        where = f"training.candidates.{index}"
        cls = estimator_class(candidate.kind, candidate.estimator, task, where)
        if candidate.kind != "custom" and candidate.estimator is not None:
            raise SpecError(f"{where}.estimator: is for kind custom; kind {candidate.kind} knows its class")
        _require_names(cls, candidate, where)
        for place, values in _values(candidate):
            _require_value(cls, f"{where}.{place}", values)


def build_estimator(
    recipe: Recipe, task: str, seed: int, categorical_mask: Sequence[bool] | None = None, where: str = ""
) -> Any:
    """The unfitted estimator of a recipe. The mask tells histogram trees which columns hold codes of categories."""
    cls = estimator_class(recipe.kind, recipe.estimator, task, where or f"training.candidates.{recipe.candidate}")
    accepted = _accepted(cls)
    params = {**default_params(recipe.kind, accepted or {}, seed), **recipe.params}
    if recipe.kind == "hist_gradient_boosting" and categorical_mask is not None and any(categorical_mask):
        params.setdefault("categorical_features", list(categorical_mask))
    return cls(**params)


def _recipe(candidate: Candidate, index: int, position: int) -> Recipe:
    params = {**candidate.params, **combination(candidate.grid, position)}
    return Recipe(
        index, candidate.kind, params, encoding_of(candidate.kind), candidate.estimator, tuple(candidate.grid)
    )


def _accepted(cls: Any) -> Mapping[str, Any] | None:
    """Names of the parameters that a class takes; None where it takes any."""
    parameters = inspect.signature(cls).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return None
    return parameters


def _values(candidate: Candidate) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each place of a candidate in the spec with the parameter value that stands there."""
    for name, value in candidate.params.items():
        yield f"params.{name}", {name: value}
    for name, values in candidate.grid.items():
        yield from ((f"grid.{name}.{position}", {name: value}) for position, value in enumerate(values))


def _require_names(cls: Any, candidate: Candidate, where: str) -> None:
    accepted = _accepted(cls)
    for place in ("params", "grid"):
        for name in getattr(candidate, place):
            if accepted is not None and name not in accepted:
                choices = ", ".join(sorted(accepted))
                raise SpecError(
                    f"{where}.{place}.{name}: {cls.__name__} has no such parameter; choose one of {choices}"
                )
    for name, values in candidate.grid.items():
        if name in candidate.params:
            raise SpecError(f"{where}.grid.{name}: stands in params too; keep one of the two")
        if not values:
            raise SpecError(f"{where}.grid.{name}: has no value to try")


def _require_value(cls: Any, where: str, params: dict[str, Any]) -> None:
    """Ask scikit-learn itself, where the class says what its parameters may be."""
    from sklearn.utils._param_validation import InvalidParameterError, validate_parameter_constraints

    constraints = getattr(cls, "_parameter_constraints", None)
    if constraints is None:
        return
    try:
        validate_parameter_constraints(constraints, params, caller_name=cls.__name__)
    except InvalidParameterError as error:
        raise SpecError(f"{where}: {error}") from None
