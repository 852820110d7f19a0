"""The final model: preprocessing and estimator, fitted on all training rows and saved as one pipeline."""

from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from evergreen.errors import IntegrityError, UnavailableError
from evergreen.features.pipeline import with_estimator
from evergreen.files import digest_of, file_digest, open_digest, read_json, write_json, write_whole
from evergreen.training.confined import confined
from evergreen.training.continued import continued, fitted_preprocessing, named
from evergreen.training.encode import transform_blocks
from evergreen.training.handles import FittedModel, Recipe
from evergreen.training.outcome import Array, fit_estimator, recipe_digest
from evergreen.training.table import TrainingTable


def fit(recipe: Recipe, table: TrainingTable, seed: int, folder: Path) -> FittedModel:
    """Fit a recipe on all training rows and save the pipeline in `folder`.

    The saved pipeline predicts from raw rows, classes by name. A model that an earlier call finished is taken as it is.
    Raises SpecError where scikit-learn refuses the recipe for these data.
    """
    import joblib

    path = folder / f"model-{digest_of([recipe_digest(recipe), table.inputs_digest(), seed])}.joblib"
    stored = read_json(path.with_suffix(".json"))
    if stored is not None and path.exists() and file_digest(path) == stored["digest"]:
        return _model(recipe, path, stored, reused=True)
    started = perf_counter()
    with confined() as notes:
        pipeline, rows, classes = _fit(recipe, table, seed)
    write_whole(path, lambda file: joblib.dump(pipeline, file))
    stored = {
        "digest": file_digest(path),
        "rows": rows,
        "classes": classes,
        "seconds": perf_counter() - started,
        "notes": list(notes),
    }
    write_json(path.with_suffix(".json"), stored)
    return _model(recipe, path, stored, reused=False)


def load_model(path: str | Path, digest: str) -> Pipeline:
    """A saved pipeline, loaded only if the file is the one that `digest` (sha256) names.

    Raises IntegrityError when it is another, UnavailableError when it cannot be read.
    """
    import joblib

    try:
        file = Path(path).open("rb")  # noqa: SIM115 - closed below; the file that is digested must be the one loaded
    except OSError as error:
        raise UnavailableError(f"{path}: the model cannot be read ({error.strerror})") from error
    with file:
        found = open_digest(file)
        if found != digest:
            raise IntegrityError(
                f"{path}: is not the model that was saved (sha256 {found[:12]}…, expected {digest[:12]}…); "
                "it is not loaded: train again, or restore the file"
            )
        file.seek(0)
        return joblib.load(file)


def _fit(recipe: Recipe, table: TrainingTable, seed: int) -> tuple[Pipeline, int, tuple[str, ...]]:
    if recipe.encoding == "champion":
        return _continue(recipe, table, seed)
    positions = table.train_positions()
    y, classes = table.read_target(positions)
    frame, preprocessing = table.read_inputs(positions), table.preprocessing(recipe.encoding)
    X = _encoded(preprocessing.fit(frame, y), frame)
    mask = tuple(preprocessing["encode"].categorical_mask_.tolist())
    estimator = fit_estimator(recipe, table.task, seed, mask, X, named(y, classes))
    return with_estimator(preprocessing, estimator), len(y), classes


def _continue(recipe: Recipe, table: TrainingTable, seed: int) -> tuple[Pipeline, int, tuple[str, ...]]:
    """The champion's pipeline, with its preprocessing as it is, gone on with over the rows that are new to it."""
    positions = table.train_positions()
    y, classes = table.read_target(positions)
    new = table.new_rows(positions)
    preprocessing = fitted_preprocessing(table.start)
    X = _encoded(preprocessing, table.read_inputs(positions[new]))
    estimator = continued(recipe, table.start, seed, X, named(y[new], classes))
    return with_estimator(preprocessing, estimator), len(X), classes


def _encoded(preprocessing: Pipeline, frame: Any) -> Array:
    """The matrix of all rows, filled a block at a time."""
    X = np.empty((len(frame), len(preprocessing["encode"].categorical_mask_)), dtype=np.float32)
    start = 0
    for block in transform_blocks(preprocessing, frame, np.arange(len(frame))):
        X[start : start + len(block)] = block
        start += len(block)
    return X


def _model(recipe: Recipe, path: Path, stored: dict[str, Any], reused: bool) -> FittedModel:
    return FittedModel(
        recipe=recipe,
        path=str(path),
        digest=stored["digest"],
        train_rows=stored["rows"],
        seconds=stored["seconds"],
        classes=tuple(stored["classes"]),
        reused=reused,
        notes=tuple(stored["notes"]),
    )
