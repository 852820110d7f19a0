"""Is a mean over a bound by now? A test that may be looked at after every value, from several starts at once.

Whoever bets on "more than the bound" against values whose mean is at most that never multiplies a stake by 20 in more
than one game of twenty, however long it goes on (Ville 1939). The game is fair for any value that is not negative:
no distribution is assumed, none has to be bounded from above, and no number of values is too small.
"""

import math
from dataclasses import dataclass

import numpy as np

from evergreen.evaluation.outputs import FloatArray, IntArray

# Shares of the stake, from half of it down: a bet of the size of the effect over the variance grows fastest.
_BETS = 0.5 ** np.arange(1, 11)
_PRECISION = 1e-3


@dataclass(frozen=True)
class Stretch:
    """The newest values from position `start` on, which say the most.

    `evidence` is the factor by which a bet against the bound has grown, and `alpha` the stretch's part of the error.
    """

    start: int
    alpha: float
    evidence: float

    @property
    def refutes(self) -> bool:
        """True where their mean is over the bound for certain: then `lower_end` at `alpha` is over it, too."""
        return self.evidence >= 1 / self.alpha


def strongest_stretch(values: FloatArray, bound: float, alpha: float, step: int) -> Stretch:
    """The stretch that speaks most against a mean of at most `bound`: from the first value, or a later start, to now.

    Values are not negative and stand in the order in which they came; a later start is every `step` values. Where each
    has a mean of at most `bound` given those before it, the bound is refuted at any look, by any stretch, with
    probability `alpha` at most: half of that is for the first start, and 1 / (2 j (j + 1)) of it for the j-th after it.

    The bets are those of Waudby-Smith and Ramdas (Estimating means of bounded random variables by betting, 2024, JRSS-B
    86, section 4) over a fixed grid; restarts with their error spent over them make a detector of changes as in Shin,
    Ramdas and Rinaldo (E-detectors, 2024, NEJSDS 2) and Shekhar and Ramdas (2023), with weights that add up to 1, so
    that false alarms of the whole run are bounded and not only how often they come.

    >>> quiet, worse = np.tile([0.0, 0.2], 500), np.tile([0.1, 0.3], 250)
    >>> found = strongest_stretch(np.append(quiet, worse), bound=0.11, alpha=0.05, step=200)
    >>> found.start, found.refutes, strongest_stretch(quiet, bound=0.11, alpha=0.05, step=200).refutes
    (1000, True, False)
    """
    starts = np.arange(0, max(len(values), 1), step)
    weights = _weights(len(starts))
    logs = _log_wealth(values, starts, bound) + np.log(weights)
    best = int(np.argmax(logs))
    evidence = math.exp(min(logs[best] - math.log(weights[best]), 700.0))
    return Stretch(int(starts[best]), alpha * float(weights[best]), evidence)


def lower_end(values: FloatArray, alpha: float) -> float:
    """What the mean of values that are not negative is at least, at every look at once.

    >>> round(lower_end(np.tile([0.0, 1.0], 500), 0.05), 2)
    0.45
    """
    if not len(values) or not values.any():
        return 0.0
    low, high = 0.0, float(values.mean())
    first = np.zeros(1, dtype=np.int64)
    while high - low > _PRECISION * high:
        middle = (low + high) / 2
        if _log_wealth(values, first, middle)[0] >= -math.log(alpha):
            low = middle
        else:
            high = middle
        if high <= np.finfo(np.float64).tiny:
            break
    return low


def _weights(count: int) -> FloatArray:
    later = np.arange(1, count, dtype=np.float64)
    return np.append(0.5, 0.5 / (later * (later + 1)))


def _log_wealth(values: FloatArray, starts: IntArray, bound: float) -> FloatArray:
    """The logarithm of what a stake of 1, laid on all bets alike, has become from each start until now."""
    if not len(values):
        return np.zeros(len(starts))
    grown = np.empty((len(_BETS), len(starts)))
    for row, bet in enumerate(_BETS):
        steps = np.add.reduceat(np.log1p(bet * (values / bound - 1)), starts)
        grown[row] = np.cumsum(steps[::-1])[::-1]
    most = grown.max(axis=0)
    return most + np.log(np.exp(grown - most).mean(axis=0))
