"""Two samples compared through their counts. Pure arithmetic: what is done with the figures is decided elsewhere.

Every function takes counts over the same cells, reference first. Sources and limits are in docs/drift.md.
"""

from collections.abc import Sequence

import numpy as np
from scipy import special, stats
from scipy.spatial import distance

# Up to so many pairs of rows the p-value of Kolmogorov-Smirnov is exact.
_EXACT_CELLS = 10_000
# Above so many rows (harmonic) the limiting distribution is used.
_FINITE_ROWS = 1_000
# Below this expected count the normal approximation is not used.
_EXPECTED = 5
# Shares of empty cells in the PSI, which is infinite otherwise.
_PSI_FLOOR = 1e-4


def ks(reference: np.ndarray, current: np.ndarray) -> tuple[float, float]:
    """Kolmogorov-Smirnov over ordered cells: p-value and D.

    The p-value is that of continuous data, which is too large where values repeat; where it is smaller, the sum of
    the two-sided binomial tails at every cut is used, which bounds the same probability and is exact in the normal
    limit for two values.

    >>> ks(np.array([50, 50]), np.array([50, 50]))
    (1.0, 0.0)
    """
    n, m = int(reference.sum()), int(current.sum())
    below, now_below = reference.cumsum() / n, current.cumsum() / m
    d = float(np.abs(below - now_below).max())
    if d == 0:
        return 1.0, 0.0
    return min(1.0, _continuous_tail(n, m, d), _sum_of_cuts(reference + current, n, m, d)), d


def _continuous_tail(n: int, m: int, d: float) -> float:
    """P(D ≥ d) of two samples without ties."""
    if n * m <= _EXACT_CELLS:
        return _exact_tail(n, m, d)
    rows = n * m / (n + m)
    if rows <= _FINITE_ROWS:
        return float(stats.kstwo.sf(d, max(1, round(rows))))
    # The limit with Vrbik's correction: 2e-5 off at worst, in a thousandth of the time.
    x = d * np.sqrt(rows)
    return float(special.kolmogorov(x + 1 / (6 * np.sqrt(rows)) + (x - 1) / (4 * rows)))


def _exact_tail(n: int, m: int, d: float) -> float:
    """P(D ≥ d) of two continuous samples: one minus the chance that a random path from (0, 0) to (n, m) stays inside.

    A path goes one step right for a row of the reference and one up for a current row (Hodges 1958).
    """
    inside = np.abs(np.arange(n + 1)[:, None] / n - np.arange(m + 1) / m) < d - 1e-12
    chance = [0.0] * (m + 1)
    for i in range(n + 1):
        for j in range(m + 1):
            if i == j == 0:
                chance[j] = 1.0
                continue
            left = chance[j] * i / (i + j)
            below = chance[j - 1] * j / (i + j) if j else 0.0
            chance[j] = left + below if inside[i, j] else 0.0
    return 1.0 - chance[m]


def _sum_of_cuts(pooled: np.ndarray, n: int, m: int, d: float) -> float:
    # An empty cell repeats a cut.
    cuts = np.unique(pooled.cumsum() / (n + m))
    cuts = cuts[(cuts > 0) & (cuts < 1)]
    if not len(cuts) or np.minimum(cuts, 1 - cuts).min() * min(n, m) < _EXPECTED:
        return 1.0
    spread = np.sqrt(cuts * (1 - cuts) * (1 / n + 1 / m))
    return float(2 * stats.norm.sf(d / spread).sum())


def chisquare(reference: np.ndarray, current: np.ndarray) -> tuple[float, float]:
    """Two-sample chi-square with rare cells pooled: p-value and total variation distance (of the pooled cells).

    >>> p, effect = chisquare(np.array([50, 50]), np.array([80, 20]))
    >>> p < 0.001, round(effect, 2)
    (True, 0.3)
    """
    old, new = pool_rare(reference, current)
    n, m = old.sum(), new.sum()
    effect = float(np.abs(old / n - new / m).sum() / 2)
    if len(old) < 2:
        return 1.0, effect
    statistic = float(((old * np.sqrt(m / n) - new * np.sqrt(n / m)) ** 2 / (old + new)).sum())
    return float(stats.chi2.sf(statistic, len(old) - 1)), effect


def pool_rare(reference: np.ndarray, current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The counts with cells added up whose expected count is below five, largest cell first.

    Which cells are rare is decided from both samples together: that choice is independent of the difference
    between them, so the test keeps its level.
    """
    pooled = reference + current
    order = np.argsort(-pooled, kind="stable")
    order = order[pooled[order] > 0]
    expected = pooled[order] * min(reference.sum(), current.sum()) / pooled.sum()
    kept = max(1, int((expected >= _EXPECTED).sum()))
    rest = expected[kept:].sum()
    if 0 < rest < _EXPECTED and kept > 1:
        kept -= 1
    starts = np.arange(min(kept + 1, len(order)))
    return np.add.reduceat(reference[order], starts), np.add.reduceat(current[order], starts)


def unseen(reference: np.ndarray, current: np.ndarray) -> tuple[float, float]:
    """Labels that only the current rows have: p-value and their share of the current rows beyond what is expected.

    Were both samples one, the rows of a label with c rows would all fall among the current ones with a known
    probability (hypergeometric). The number of such labels is compared with a Poisson variable of the same mean,
    whose upper tail bounds theirs. So a new label among ten counts, and a new order number among thousands does not.

    >>> unseen(np.array([50, 50, 0]), np.array([50, 40, 10]))[1] > 0.09
    True
    """
    n, m = int(reference.sum()), int(current.sum())
    pooled = reference + current
    only_now = current[reference == 0]
    labels = int((only_now > 0).sum())
    if not labels:
        return 1.0, 0.0
    sizes, how_many = np.unique(pooled[pooled > 0], return_counts=True)
    chance = np.exp(_log_choose(n + m - sizes, n) - _log_choose(np.array([n + m]), n)) * (sizes <= m)
    expected_share = float((how_many * sizes * chance).sum() / m)
    p = float(stats.poisson.sf(labels - 1, float((how_many * chance).sum())))
    return p, max(0.0, float(only_now.sum()) / m - expected_share)


def _log_choose(total: np.ndarray, taken: int) -> np.ndarray:
    feasible = np.maximum(total, taken)
    return special.gammaln(feasible + 1) - special.gammaln(taken + 1) - special.gammaln(feasible - taken + 1)


def proportions(reference: tuple[int, int], current: tuple[int, int]) -> tuple[float, float]:
    """Two shares, each given as (hits, rows): p-value and difference, by chi-square or, for few hits, Fisher.

    >>> p, effect = proportions((20, 1000), (600, 1000))
    >>> p < 1e-9, round(effect, 2)
    (True, 0.58)
    """
    (hits, rows), (now, now_rows) = reference, current
    effect = abs(now / now_rows - hits / rows)
    total = hits + now
    if total in (0, rows + now_rows):
        return 1.0, effect
    rarer = min(total, rows + now_rows - total)
    if rarer * min(rows, now_rows) / (rows + now_rows) < _EXPECTED:
        table = [[hits, rows - hits], [now, now_rows - now]]
        return float(stats.fisher_exact(table).pvalue), effect
    share = total / (rows + now_rows)
    z = effect / np.sqrt(share * (1 - share) * (1 / rows + 1 / now_rows))
    return float(2 * stats.norm.sf(z)), effect


def wasserstein(points: np.ndarray, counts: np.ndarray, current: np.ndarray, std: float) -> float:
    """Earth mover's distance in units of the reference's standard deviation (at least 0.001, as Evidently has it)."""
    # An infinite value is as far as can be told without the sum overflowing.
    now = np.clip(current, -1e100, 1e100)
    return float(stats.wasserstein_distance(np.clip(points, -1e100, 1e100), now, counts) / max(std, 0.001))


def jensenshannon(reference: np.ndarray, current: np.ndarray) -> float:
    """Jensen-Shannon distance with the natural logarithm: 0 to 0.83.

    >>> round(jensenshannon(np.array([1, 0]), np.array([0, 1])), 2)
    0.83
    """
    return float(distance.jensenshannon(reference, current))


def psi(reference: np.ndarray, current: np.ndarray) -> float:
    """Population stability index.

    >>> round(psi(np.array([50, 50]), np.array([70, 30])), 3)
    0.169
    """
    old = np.maximum(reference / reference.sum(), _PSI_FLOOR)
    new = np.maximum(current / current.sum(), _PSI_FLOOR)
    return float(((new - old) * np.log(new / old)).sum())


def adjust(p_values: Sequence[float]) -> tuple[float, ...]:
    """Benjamini-Hochberg adjusted p-values, in the order given.

    >>> adjust([0.01, 0.5])
    (0.02, 0.5)
    """
    if not p_values:
        return ()
    return tuple(float(p) for p in stats.false_discovery_control(np.clip(p_values, 0.0, 1.0)))
