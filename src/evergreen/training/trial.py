"""One recipe, scored on folds that are encoded already."""

import math
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from evergreen.files import digest_of, read_json, write_json
from evergreen.training.confined import confined
from evergreen.training.continued import Positions, continued, named
from evergreen.training.encode import Fold, read_fold, read_index
from evergreen.training.handles import Folds, Recipe, Start, TrialResult
from evergreen.training.outcome import Array, fit_estimator, measure, readable, recipe_digest


def cross_validate(
    recipe: Recipe, folds: Folds, metric: str, seed: int, folder: Path, share: float = 1.0
) -> TrialResult:
    """Score a recipe by a metric on every fold, learning from a `share` of each fold's training rows.

    A finished trial is kept in `folder` and answers the next call. A fold whose training part has a single class, or
    where the metric does not exist, scores NaN and does not count. Raises SpecError where scikit-learn refuses the
    recipe for these data.
    """
    index = read_index(folds)
    place = folder / f"trial-{digest_of([recipe_digest(recipe), index['digest'], metric, share, seed])}.json"
    stored = read_json(place)
    if stored is not None:
        return _result(recipe, metric, stored, reused=True)
    started = perf_counter()
    scores, rows = [], 0
    with confined() as notes:
        for position in range(folds.folds):
            fold = _shortened(read_fold(folds, position), share, seed)
            scores.append(_score(recipe, fold, (index["task"], tuple(index["classes"])), metric, seed, folds.start))
            rows = max(rows, len(fold.y_train))
    stored = {"scores": scores, "seconds": perf_counter() - started, "rows": rows, "notes": list(notes)}
    write_json(place, stored)
    return _result(recipe, metric, stored, reused=False)


def _score(
    recipe: Recipe,
    fold: Fold,
    target: tuple[str, tuple[str, ...]],
    metric: str,
    seed: int,
    start: Start | None,
) -> float:
    task, classes = target
    known = len(np.unique(fold.y_train))
    if classes and known < (len(classes) if recipe.continues else 2):
        return math.nan
    if recipe.continues:
        going = continued(recipe, start, seed, fold.train, named(fold.y_train, classes))
        return measure(
            Positions(going, classes) if classes else going, metric, fold.validation, fold.y_validation, classes
        )
    estimator = fit_estimator(recipe, task, seed, fold.categorical_mask, fold.train, fold.y_train)
    return measure(estimator, metric, readable(recipe, fold.validation), fold.y_validation, classes)


def _shortened(fold: Fold, share: float, seed: int) -> Fold:
    """A seeded part of the training rows; a larger share holds all rows of a smaller one."""
    if share >= 1.0:
        return fold
    rows = _part(len(fold.y_train), share, seed)
    return Fold(fold.train[rows], fold.validation, fold.y_train[rows], fold.y_validation, fold.categorical_mask)


def _part(rows: int, share: float, seed: int) -> Array:
    return np.sort(np.random.default_rng(seed).permutation(rows)[: max(2, round(share * rows))])


def _result(recipe: Recipe, metric: str, stored: dict[str, Any], reused: bool) -> TrialResult:
    scores = tuple(float(score) for score in stored["scores"])
    known = [score for score in scores if math.isfinite(score)]
    mean, std = (float(np.mean(known)), float(np.std(known))) if known else (math.nan, math.nan)
    notes = tuple(stored["notes"])
    return TrialResult(recipe, metric, scores, mean, std, stored["seconds"], stored["rows"], reused, notes)
