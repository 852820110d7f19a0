"""One row and a linear model, in plain numbers: a dozen calls of numpy for one row take longer than all its sums."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import itemgetter, mul
from struct import Struct
from typing import Any

import numpy as np

from evergreen.serving.encode import LARGEST, Category, Encoder
from evergreen.serving.handles import Answers, Row
from evergreen.serving.models import MOVED, classes_of
from evergreen.serving.uncompiled import NotCompilable

Single = Callable[[Row], Answers]


@dataclass(frozen=True)
class LinearScore:
    """The score of a row: a constant, a weight for each number, filled, scaled and rounded to float32 as training had
    it, and one for each text. `scales` are the fill, centre and scale of each number; `texts` and `codes` the position
    of a category with its weights, which are of texts, or of numbers that stand for them, and then of null.
    """

    numbers: Callable[[Row], tuple[float, ...]]
    scales: tuple[tuple[float, float, float], ...]
    float32: Struct
    weights: tuple[float, ...]
    texts: tuple[tuple[int, Mapping[Any, float], float], ...]
    codes: tuple[tuple[int, Mapping[Any, float], float, float], ...]
    constant: float

    def __call__(self, row: Row) -> float:
        """The score of a valid row."""
        scaled = [
            # A NaN is not between them either.
            ((value if -LARGEST <= value <= LARGEST else fill) - center) / scale
            for value, (fill, center, scale) in zip(self.numbers(row), self.scales, strict=True)
        ]
        try:
            rounded = self.float32.unpack(self.float32.pack(*scaled))
        except OverflowError:
            rounded = self.float32.unpack(self.float32.pack(*[min(max(x, -LARGEST), LARGEST) for x in scaled]))
        score = sum(map(mul, rounded, self.weights), self.constant)
        for position, weights, unseen in self.texts:
            score += weights.get(row[position], unseen)
        for position, weights, unseen, null in self.codes:
            value = row[position]
            score += weights.get(value, unseen) if value == value else null  # noqa: PLR0124 - NaN
        return score


def single(estimator: Any, encoder: Encoder) -> Single | None:
    """What answers for one row; None for models, and for rows, that only numpy reads."""
    compiler = _COMPILERS.get(type(estimator).__name__) if type(estimator).__module__.startswith("sklearn.") else None
    try:
        return None if compiler is None else compiler(estimator, encoder)
    except MOVED:
        return None


def _logistic(estimator: Any, encoder: Encoder) -> Single:
    first, second = classes_of(estimator)
    score, classes = linear_score(encoder, estimator.coef_[0], estimator.intercept_[0]), (first, second)

    def answer(row: Row) -> Answers:
        given = score(row)
        chance = expit(given)
        return Answers([second if given > 0 else first], np.array([[1.0 - chance, chance]]), classes)

    return answer


def _linear(estimator: Any, encoder: Encoder) -> Single:
    score = linear_score(encoder, np.ravel(estimator.coef_), np.ravel(estimator.intercept_)[0])
    return lambda row: Answers([score(row)])


def expit(score: float) -> float:
    """The logistic function, which does not overflow.

    >>> expit(0.0), expit(-800.0), expit(800.0)
    (0.5, 0.0, 1.0)
    """
    if score >= 0:
        return 1.0 / (1.0 + math.exp(-score))
    power = math.exp(score)
    return power / (1.0 + power)


def linear_score(encoder: Encoder, weights: Any, constant: Any) -> LinearScore:
    """The score of rows that the encoder reads, by weights of its columns. Raises NotCompilable where numpy computes
    some of those columns.
    """
    count, known = len(encoder.numeric), [float(weight) for weight in weights]
    if encoder.steps or encoder.scale is None or encoder.unknown is not None:
        raise NotCompilable("some of its columns are computed")
    positions = [encoder.raw[place] for place in encoder.numeric.tolist()]
    parts = (encoder.scale.fill, encoder.scale.center, encoder.scale.scale)
    scales = tuple(zip(*(part.tolist() for part in parts), strict=True))
    texts, codes = [], []
    for category in encoder.categories:
        position, weigh = category.slot.position, _weigher(category, known)
        if position is None:
            raise NotCompilable("some of its categories are computed")
        table = {value: weigh(code) for value, code in category.codes.table.items()}
        if category.codes.numbers:
            codes.append((position, table, weigh(category.codes.unseen), weigh(category.codes.null)))
        else:
            texts.append((position, table, weigh(category.codes.unseen)))
    return LinearScore(
        _picker(positions),
        scales,
        Struct(f"{count}f"),
        tuple(known[:count]),
        tuple(texts),
        tuple(codes),
        float(constant),
    )


def _picker(positions: list[int]) -> Callable[[Row], tuple[float, ...]]:
    # With one position it would return no tuple.
    return itemgetter(*positions) if len(positions) > 1 else lambda row: tuple([row[place] for place in positions])


def _weigher(category: Category, weights: list[float]) -> Callable[[Any], float]:
    """What a code adds to the score."""
    start = category.start
    if not category.indicator:
        return lambda code: weights[start] * code
    return lambda code: weights[start + code] if code >= 0 else 0.0


_COMPILERS: dict[str, Callable[[Any, Encoder], Single]] = {
    "LogisticRegression": _logistic,
    **dict.fromkeys(("LinearRegression", "Ridge", "ElasticNet"), _linear),
}
