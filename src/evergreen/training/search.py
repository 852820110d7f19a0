"""The course of a search: its rounds, who survives one, and who wins."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from evergreen.errors import DataError
from evergreen.training.handles import Recipe, TrialResult

# A smaller share of the rows says little about the whole.
_LEAST_SHARE = 0.02


@dataclass(frozen=True)
class Rung:
    """One round: each recipe is scored on a `share` of the training rows, and the best `keep` go on."""

    share: float
    keep: int


@dataclass(frozen=True)
class Plan:
    """The recipes to try and the rounds they go through; `grid` and `random` have one round on all rows."""

    recipes: tuple[Recipe, ...]
    rungs: tuple[Rung, ...]


def rungs(recipes: int, factor: int | None) -> tuple[Rung, ...]:
    """The rounds for so many recipes: one on all rows without a factor, else rounds that keep one in `factor`.

    Shares grow by the factor up to all rows; the last round keeps the winner.

    >>> rungs(15, None)
    (Rung(share=1.0, keep=1),)
    >>> [(round(rung.share, 3), rung.keep) for rung in rungs(9, 3)]
    [(0.111, 3), (0.333, 1), (1.0, 1)]
    """
    if factor is None:
        return (Rung(1.0, 1),)
    kept = [recipes]
    while kept[-1] > 1:
        kept.append(math.ceil(kept[-1] / factor))
    shares = [max(_LEAST_SHARE, factor ** -(len(kept) - 1.0 - at)) for at in range(len(kept))]
    return tuple(Rung(share, keep) for share, keep in zip(shares, [*kept[1:], 1], strict=True))


def rank(results: Sequence[TrialResult], metric: str) -> list[TrialResult]:
    """Best first by mean score. Of equals the earlier candidate, then the earlier trial: list what is simple first.

    A recipe that could not be scored on any fold comes last. Scores are compared to twelve digits, so that the same
    search has the same winner on another machine.
    """
    from evergreen.evaluation.metrics import METRICS

    sign = -1.0 if METRICS[metric].greater_is_better else 1.0

    def place(entry: tuple[int, TrialResult]) -> tuple[float, int, int]:
        order, result = entry
        value = math.inf if math.isnan(result.mean) else float(f"{sign * result.mean:.12g}")
        return value, result.recipe.candidate, order

    return [result for _, result in sorted(enumerate(results), key=place)]


def select(results: Sequence[TrialResult], rung: Rung, metric: str) -> tuple[Recipe, ...]:
    """The recipes that survive a round, in the order in which they were tried."""
    surviving = {id(result) for result in rank(results, metric)[: rung.keep]}
    return tuple(result.recipe for result in results if id(result) in surviving)


def best(results: Sequence[TrialResult], metric: str) -> TrialResult:
    """The winner of the last round.

    Raises DataError where no recipe could be scored at all: each fold then had a single class, or the metric does not
    exist there.
    """
    winner = rank(results, metric)[0]
    if math.isnan(winner.mean):
        raise DataError(
            f"training: none of {len(results)} recipes could be scored by {metric} on any fold; "
            "each fold needs rows of two classes to learn and to judge: use more rows, fewer folds, or another metric"
        )
    return winner
