"""A share in a window is a draw: what is above its bound by more than chance explains."""

LEVEL = 1e-3
"""A window in which nothing is wrong says otherwise this often, at most, in each of the rules that count."""


def exceeds(hits: int, rows: int, bound: float, level: float = LEVEL) -> bool:
    """True where so many of these rows are hardly ever hit while the true share is the bound or less.

    The tail of a binomial variable: exact, for any number of rows. A bound of 0 is exceeded by a single row.

    >>> exceeds(6, 100, 0.05), exceeds(600, 10_000, 0.05), exceeds(1, 10_000, 0.0)
    (False, True, True)
    """
    from scipy import stats

    return rows > 0 and hits > bound * rows and float(stats.binom.sf(hits - 1, rows, bound)) < level
