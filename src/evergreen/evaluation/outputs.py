"""What a model said about a set of labelled rows, in the form that every metric reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Labels:
    """Classes as positions in `classes`, which are sorted; -1 is a missing label.

    `probabilities` has one column a class, in their order.
    """

    y: IntArray
    predicted: IntArray
    classes: tuple[str, ...]
    probabilities: FloatArray | None = None


@dataclass(frozen=True)
class Numbers:
    """Targets and predictions of a regression."""

    y: FloatArray
    predicted: FloatArray


Outputs = Labels | Numbers


def take(outputs: Outputs, rows: npt.NDArray[Any]) -> Outputs:
    """The outputs of some rows, given by position or mask."""
    if isinstance(outputs, Numbers):
        return Numbers(outputs.y[rows], outputs.predicted[rows])
    matrix = None if outputs.probabilities is None else outputs.probabilities[rows]
    return Labels(outputs.y[rows], outputs.predicted[rows], outputs.classes, matrix)


def label_outputs(y: Any, predictions: Any, probabilities: Any, classes: Sequence[str]) -> Labels:
    """Encode labels. A label that is not among `classes` becomes a class of its own, of probability 0.

    >>> label_outputs(["no", "new"], ["no", "no"], [[0.8, 0.2], [0.9, 0.1]], ["no", "yes"]).classes
    ('new', 'no', 'yes')
    """
    import pandas as pd

    true, predicted = pd.Series(y, dtype=object), pd.Series(predictions, dtype=object)
    known = {str(c) for c in classes}
    every = tuple(sorted(known | _distinct(true) | _distinct(predicted)))
    matrix = None if probabilities is None else align(np.asarray(probabilities, dtype=np.float64), classes, every)
    return Labels(_codes(true, every), _codes(predicted, every), every, matrix)


def align(probabilities: FloatArray, classes: Sequence[str], target: Sequence[str]) -> FloatArray:
    """The columns of `probabilities`, named by `classes`, in the order of `target`; 0 for a class that is not there.

    >>> align(np.array([[0.2, 0.8]]), ["a", "c"], ["a", "b", "c"])
    array([[0.2, 0. , 0.8]])
    """
    at = {str(name): position for position, name in enumerate(target)}
    aligned = np.zeros((len(probabilities), len(target)))
    aligned[:, [at[str(name)] for name in classes]] = probabilities
    return aligned


def number_outputs(y: Any, predictions: Any) -> Numbers:
    """Targets and predictions as float64."""
    return Numbers(np.asarray(y, dtype=np.float64), np.asarray(predictions, dtype=np.float64))


def _distinct(labels: Any) -> set[str]:
    return {str(value) for value in labels.dropna().unique()}


def _codes(labels: Any, classes: Sequence[str]) -> IntArray:
    import pandas as pd

    codes, values = pd.factorize(labels)
    at = {name: position for position, name in enumerate(classes)}
    # factorize says -1 for a missing label: the last entry keeps it -1.
    return np.array([*(at[str(value)] for value in values), -1], dtype=np.int64)[codes]
