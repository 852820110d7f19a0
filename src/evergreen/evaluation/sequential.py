"""Confidence sequences: intervals that hold at all times at once, so that one may look after every request.

An ordinary interval at 95 % misses in one look of twenty; who looks every minute until it says something is misled in
the end. These miss with probability `alpha` at most over the whole trial, whenever one looks, and need
only totals: Ville's inequality bounds the running maximum of a martingale that the mixture method makes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from evergreen.evaluation.totals import Losses, bucket_edges

_HALVINGS = 60
# By simulation: with 30 who looks always is misled in at most 5 of 100 trials, with none in up to 60.
_CARRIERS = 30
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Interval:
    """Both ends belong to it."""

    lower: float
    upper: float

    def __sub__(self, other: "Interval") -> "Interval":
        """Of a difference, wherever in their intervals the two are."""
        return Interval(self.lower - other.upper, self.upper - other.lower)


def is_plausible(share: float, count: int, total: int, alpha: float) -> bool:
    """True where `count` of `total` independent trials do not contradict a success probability of `share`.

    Of a true share this is False, ever, with probability `alpha` at most. The ratio of the likelihoods of a
    Beta(1/2, 1/2) mixture and of the share is a martingale of mean 1 (Robbins 1970, Ann. Math. Statist. 41; the
    beta-binomial boundary of Howard, Ramdas, McAuliffe and Sekhon 2021, Ann. Statist. 49).

    >>> is_plausible(0.05, count=50, total=1000, alpha=0.05), is_plausible(0.10, count=50, total=1000, alpha=0.05)
    (True, False)
    """
    if (share <= 0 and count > 0) or (share >= 1 and count < total):
        return False
    mixture = _log_beta(count + 0.5, total - count + 0.5) - _log_beta(0.5, 0.5)
    failed = total - count
    likelihood = (count * math.log(share) if count else 0.0) + (failed * math.log1p(-share) if failed else 0.0)
    return mixture - likelihood < -math.log(alpha)


def share_interval(count: int, total: int, alpha: float) -> Interval:
    """Where the probability behind `count` of `total` lies: every share that is plausible, and so exact for any share.

    >>> found = share_interval(10, 1000, alpha=0.05)
    >>> round(found.lower, 4), round(found.upper, 4)
    (0.0024, 0.0262)
    >>> share_interval(0, 0, alpha=0.05)
    Interval(lower=0.0, upper=1.0)
    """
    if not total:
        return Interval(0.0, 1.0)
    seen = count / total
    return Interval(_end(seen, 0.0, count, total, alpha), _end(seen, 1.0, count, total, alpha))


def mean_interval(losses: Losses, alpha: float, planned: int) -> Interval:
    """Where the mean of independent values of any distribution with a variance lies; tightest at `planned` values.

    The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024 (Ann. Statist. 52): it
    holds from `planned` values on, which have to be enough for a normal approximation, and is all numbers before. So it
    is as long as fewer than 30 values carry the spread: where hardly anything differs from zero yet, a sample's
    variance says that nothing ever will. What nothing in the sample hints at, it cannot know.

    >>> found = mean_interval(Losses(count=1000, total=500.0, squares=350.0, fourths=250.0), alpha=0.05, planned=500)
    >>> round(found.lower, 3), round(found.upper, 3)
    (0.469, 0.531)
    """
    n = losses.count
    variance = max(losses.squares / n - losses.mean**2, 0.0) if n else 0.0
    if n < planned or losses.carriers < _CARRIERS or variance <= _ROUNDING * losses.squares / n:
        return Interval(-math.inf, math.inf)
    tuned = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha)) + 1) / planned
    grown = n * tuned + 1
    reach = math.sqrt(variance * 2 * grown / (n * n * tuned) * math.log(math.sqrt(grown) / alpha))
    return Interval(losses.mean - reach, losses.mean + reach)


def quantile_interval(latencies: Mapping[int, int], level: float, alpha: float) -> Interval:
    """Where a quantile of the latency lies, in milliseconds, from counts by bucket (see evergreen.evaluation.totals).

    A request stays at or below its quantile with probability `level`, so how many do is a count whose share is known
    (Howard and Ramdas 2022, Bernoulli 28). Ends are edges of buckets, the outer ones.

    >>> found = quantile_interval({0: 5000, 8: 5000}, 0.25, alpha=0.05)
    >>> round(found.lower, 2), round(found.upper, 2)
    (0.92, 1.0)
    """
    total, lower, below = sum(latencies.values()), None, 0
    for bucket in sorted(latencies):
        below += latencies[bucket]
        enough, plausible = below >= level * total, is_plausible(level, below, total, alpha)
        if lower is None and (enough or plausible):
            lower = bucket_edges(bucket)[0]
        if enough and not plausible:
            return Interval(lower or 0.0, bucket_edges(bucket)[1])
    return Interval(lower or 0.0, math.inf)


def _end(seen: float, limit: float, count: int, total: int, alpha: float) -> float:
    """The outermost plausible share on the way from the one that was seen, which is plausible, to a limit."""
    if is_plausible(limit, count, total, alpha):
        return limit
    inside, outside = seen, limit
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        if is_plausible(middle, count, total, alpha):
            inside = middle
        else:
            outside = middle
    return outside


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
