"""What is evaluated, and what it answers for the holdout."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.errors import EvergreenError
from evergreen.evaluation.outputs import FloatArray, Labels, Outputs, align, label_outputs, number_outputs

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Holdout:
    """Labelled rows that neither model may have been trained on.

    `frame` is canonical and holds every raw input of both models and every column that slices are made of. `times`
    (naive UTC, one a row) are given when the holdout is the newest block of time, and None when it was drawn at random:
    they decide how rows are resampled. `draw` names how it was drawn at random; empty for a block of time.
    """

    frame: "pd.DataFrame"
    y: "pd.Series[Any]"
    times: "pd.Series[Any] | None" = None
    draw: str = ""


@dataclass(frozen=True)
class Contender:
    """A fitted pipeline that predicts raw rows, and what is known about it.

    `version` is None for a model that is not registered. `trained_until` is aware, in UTC; None without a time column.
    `draw` names the draw that held rows out of its training; empty where that was a block of time, or is not known.
    """

    model: Any
    version: int | None = None
    trained_until: datetime | None = None
    size_mb: float | None = None
    cross_validated: float | None = None
    draw: str = ""

    @property
    def title(self) -> str:
        """How messages call it."""
        return "the challenger" if self.version is None else f"the champion (version {self.version})"


@dataclass(frozen=True)
class Answers:
    """Raw answers of one model: labels or numbers, and for a classification probabilities by class."""

    predicted: Any
    probabilities: FloatArray | None = None
    classes: tuple[str, ...] = ()


def answer(contender: Contender, frame: "pd.DataFrame") -> Answers:
    """Predict all rows.

    Raises EvergreenError where the model does not answer: a champion that cannot predict is a fault to be looked at,
    and never read as "there is no champion".
    """
    try:
        return ask(contender.model, frame)
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise EvergreenError(
            f"{contender.title} cannot predict the holdout ({why}); "
            "check that the data still has the columns it was trained on, or roll back"
        ) from error


def ask(model: Any, frame: "pd.DataFrame") -> Answers:
    """What a fitted pipeline says to raw rows, which are encoded once for both questions."""
    from sklearn.pipeline import Pipeline

    if isinstance(model, Pipeline) and len(model.steps) > 1:
        # Encoding costs more than answering.
        return _ask(model[-1], model[:-1].transform(frame))
    return _ask(model, frame)


def encode(y: "pd.Series[Any]", answers: Sequence[Answers], task: str) -> tuple[Outputs, ...]:
    """Answers of several models in one form, over one set of classes, so that they can be compared row by row."""
    if task == "regression":
        return tuple(number_outputs(y, given.predicted) for given in answers)
    classes = sorted({name for given in answers for name in given.classes})
    encoded = [_encode_labels(y, given, classes) for given in answers]
    every = sorted({name for labels in encoded for name in labels.classes})
    return tuple(
        labels if list(labels.classes) == every else _encode_labels(y, given, every)
        for labels, given in zip(encoded, answers, strict=True)
    )


def _encode_labels(y: "pd.Series[Any]", given: Answers, classes: Sequence[str]) -> Labels:
    matrix = None if given.probabilities is None else align(given.probabilities, given.classes, classes)
    return label_outputs(y, given.predicted, matrix, classes)


def _ask(estimator: Any, rows: Any) -> Answers:
    if not hasattr(estimator, "classes_"):
        return Answers(np.asarray(estimator.predict(rows), dtype=np.float64))
    classes = tuple(str(name) for name in estimator.classes_)
    asks_probabilities = hasattr(estimator, "predict_proba")
    matrix = np.asarray(estimator.predict_proba(rows), dtype=np.float64) if asks_probabilities else None
    if matrix is not None and _says_the_likeliest(estimator):
        return Answers(np.array(classes, dtype=object)[matrix.argmax(axis=1)], matrix, classes)
    return Answers([str(label) for label in estimator.predict(rows)], matrix, classes)


def _says_the_likeliest(estimator: Any) -> bool:
    """True for trees and forests, which walk every tree again to name the class they give most probability."""
    from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.tree import DecisionTreeClassifier

    # Subclasses may decide otherwise, by a threshold of their own.
    trees = (ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier, DecisionTreeClassifier)
    return type(estimator) in trees
