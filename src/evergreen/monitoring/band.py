"""Where an estimate stays without drift: what chance does to a window, and to the holdout that it is held against."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from evergreen.evaluation.baseline import Loss
from evergreen.evaluation.outputs import FloatArray

# By simulation 19 of 20 windows stay inside: the rest is for what the approximations leave out where few were held out.
CONFIDENCE = 0.96
_BLOCKS = 20
# Of blocks of independent rows one in twenty varies so much more than its rows.
_CHANCE = 0.95


@dataclass(frozen=True)
class Band:
    """An estimated loss, the ends between which it lies without drift, and its standard error against the holdout."""

    value: float
    lower: float
    upper: float
    error: float


@dataclass(frozen=True, eq=False)
class Reference:
    """What members expect of the holdout.

    `mean` is over rows, each told by the member that did not learn from it; `by_member` over all rows. `variance` is of
    a row; `excess` is what neighbours have in common, in the same units (long-run variance by batch means: Flegal and
    Jones, Ann. Statist. 38, 2010). `rows` are the sample's, `all_rows` those of the holdout that it was drawn of.
    """

    mean: float
    by_member: FloatArray
    variance: float
    excess: float
    rows: int
    all_rows: int

    @classmethod
    def of(cls, each: FloatArray, folds: Any, all_rows: int) -> "Reference":
        """From what each member expects of each row; member k did not learn from the rows of fold k."""
        own = each[folds, np.arange(each.shape[1])]
        variance = float(own.var())
        excess = _excess(own, variance) * max(all_rows / len(own), 1.0)
        return cls(float(own.mean()), each.mean(axis=1), variance, excess, len(own), max(all_rows, len(own)))

    def band(self, holdout: Loss, each: FloatArray, all_rows: int) -> Band:
        """The estimate of a window from what each member expects of each of its rows, which are drawn of `all_rows`.

        The holdout's own loss, moved by what is expected more or less of this window than of the holdout. The band's
        width has the chance of the window's rows, of the holdout's, and of what the members learnt from it (jackknife
        over the folds: Efron and Stein, Ann. Statist. 9, 1981).
        """
        value = max(holdout.mean + float(each.mean()) - self.mean, 0.0)
        chance = self._chance(each.shape[1], all_rows) + self._chance(self.rows, self.all_rows)
        moved = each.mean(axis=1) - self.by_member
        count = len(moved)
        learnt = (count - 1) / count * float(np.square(moved - moved.mean()).sum())
        error = math.sqrt(chance + learnt)
        reach = _quantile(chance, math.inf if not self.excess else _BLOCKS - 1, learnt, count - 1) * error
        return Band(value, max(holdout.mean - reach, 0.0), holdout.mean + reach, error)

    def _chance(self, rows: int, all_rows: int) -> float:
        return self.variance / rows + self.excess / all_rows


def _excess(values: FloatArray, variance: float) -> float:
    """What blocks of neighbours vary more than independent rows would; 0 where that may be chance."""
    from scipy.stats import chi2

    size = len(values) // _BLOCKS
    if not size or not variance:
        return 0.0
    means = values[: size * _BLOCKS].reshape(_BLOCKS, size).mean(axis=1)
    ratio = size * float(means.var(ddof=1)) / variance
    by_chance = float(chi2.ppf(_CHANCE, _BLOCKS - 1)) / (_BLOCKS - 1)
    return (ratio - 1) * variance if ratio > by_chance else 0.0


def _quantile(chance: float, chance_freedom: float, learnt: float, learnt_freedom: int) -> float:
    """Of Student's t, whose freedom is that of both parts together (Satterthwaite 1946)."""
    from scipy.stats import t

    spread = chance**2 / chance_freedom + learnt**2 / learnt_freedom
    freedom = (chance + learnt) ** 2 / spread if spread else math.inf
    return float(t.ppf((1 + CONFIDENCE) / 2, min(freedom, 1e6)))
