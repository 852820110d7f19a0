"""Do two engines say the same? Of rows that are stored with a model, and of rows made worse."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from evergreen.serving.handles import Answers, Column, Row
from evergreen.serving.values import null_of

if TYPE_CHECKING:
    from evergreen.registry.artifact import Answers as Recorded

# What requests bring that a holdout may not have had.
_NUMBERS = (0.0, -0.0, -1.0, 1.0, 0.5, 1e-320, 1e9, -1e9, 3e38, 1e300, -1e300)
_MOMENTS = (0, -1, 86_399_999_999, -62_135_596_800_000_000, 253_402_300_799_999_999)
_TEXTS = ("never seen in any training", "Ünseen 🙂", "nan", "0")
_LIKE = 8


def recorded(expected: "Recorded") -> Answers:
    """Answers as they are stored with a version, in the form of serving; the names of the classes are not stored."""
    rows = expected.probabilities
    return Answers(expected.predictions, None if rows is None else np.array(rows, dtype=np.float64))


def apart(left: Answers, right: Answers) -> float:
    """The largest difference: absolute below 1, relative above; infinite where labels or shapes differ.

    >>> apart(Answers(["a"]), Answers(["a"])), apart(Answers([1.0]), Answers([2.0]))
    (0.0, 0.5)
    """
    if len(left.predictions) != len(right.predictions):
        return math.inf
    worst = 0.0
    if left.predictions and isinstance(left.predictions[0], str):
        worst = 0.0 if list(left.predictions) == [str(label) for label in right.predictions] else math.inf
    else:
        worst = _largest(np.array(left.predictions, dtype=np.float64), np.array(right.predictions, dtype=np.float64))
    if (left.probabilities is None) != (right.probabilities is None):
        return math.inf
    if left.probabilities is None or right.probabilities is None:
        return worst
    return max(worst, _largest(left.probabilities, right.probabilities))


def disturbed(columns: Sequence[Column], rows: Sequence[Row]) -> list[Row]:
    """Rows like the given ones with a null, a value at the edge or one never seen in each column, and all null."""
    if not rows:
        return []
    made: list[Row] = [tuple(null_of(column) for column in columns)]
    for position, column in enumerate(columns):
        for number, value in enumerate(_odd(column)):
            row = rows[(position + number) % min(len(rows), _LIKE)]
            made.append((*row[:position], value, *row[position + 1 :]))
    return made


def _odd(column: Column) -> tuple[object, ...]:
    null = null_of(column)
    if column.type == "boolean":
        return (null, 0.0, 1.0)
    if column.type == "integer":
        return (null, *(number for number in _NUMBERS if number.is_integer() and abs(number) < 2**53))
    if column.type == "number":
        return (null, *_NUMBERS)
    return (null, *(_MOMENTS if column.type == "datetime" else _TEXTS))


def _largest(left: "np.ndarray", right: "np.ndarray") -> float:
    if left.shape != right.shape:
        return math.inf
    if not left.size:
        return 0.0
    differences = np.abs(left - right) / np.maximum(1.0, np.abs(right))
    worst = float(differences.max())
    return math.inf if math.isnan(worst) else worst
