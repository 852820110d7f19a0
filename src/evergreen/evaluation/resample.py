"""Which rows a bootstrap resample holds: independent rows, or blocks of time.

Rows without an order are resampled independently (Efron & Tibshirani, An Introduction to the Bootstrap, 1993). Rows in
time resemble their neighbours, so that whole blocks are drawn (Künsch, Annals of Statistics 17, 1989), from a circle,
so that the first and last rows are drawn as often as any other (Politis & Romano, 1992).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from evergreen.evaluation.outputs import FloatArray, IntArray

# Sums over random groups of independent rows are independent too, so that drawing groups gives the same spread as
# drawing rows: with 4,000 of them the estimated width of an interval is off by about 1 %, at any number of rows.
GROUPS = 4000
# A block may start at any of so many moments of its length; fewer where the blocks are many.
STARTS_PER_BLOCK = 24
_BATCH = 250


@dataclass(frozen=True)
class Scheme:
    """How rows are drawn: `draws` runs of `length` neighbouring units on a circle of `units`.

    `unit` gives the unit of each row. `independent` is how many things the draw treats as independent: rows, or
    blocks that hold any row.
    """

    unit: IntArray
    units: int
    length: int
    draws: int
    independent: int

    def weights(self, resamples: int, seed: int) -> Iterator[FloatArray]:
        """How often each unit is drawn, in batches of shape (up to 250 resamples, units)."""
        rng = np.random.default_rng(seed)
        for done in range(0, resamples, _BATCH):
            batch = min(_BATCH, resamples - done)
            starts = rng.integers(0, self.units, (batch, self.draws)) + np.arange(batch)[:, None] * self.units
            counts = np.bincount(starts.ravel(), minlength=batch * self.units).reshape(batch, self.units)
            yield _spread(counts, self.length).astype(np.float64)


def independent_rows(rows: int, seed: int) -> Scheme:
    """Every row by itself, or in random groups where there are more than 4,000."""
    units = min(rows, GROUPS)
    unit = np.random.default_rng(seed).permutation(rows) % units
    return Scheme(unit, units, length=1, draws=units, independent=rows)


def blocks_of_time(times: npt.NDArray[np.datetime64], block: timedelta) -> Scheme:
    """Blocks of that length over the span of `times` (datetime64, any order).

    >>> times = np.datetime64("2024-01-01T00", "us") + np.arange(60) * np.timedelta64(12, "h")
    >>> blocks_of_time(times, timedelta(days=1)).independent
    30
    """
    elapsed = (times - times.min()).astype("timedelta64[us]").astype(np.int64)
    width = max(int(block / timedelta(microseconds=1)), 1)
    blocks = int(elapsed.max()) // width + 1
    length = max(1, min(STARTS_PER_BLOCK, GROUPS // blocks))
    unit = elapsed * length // width
    occupied = len(np.unique(elapsed // width))
    return Scheme(unit, blocks * length, length, draws=blocks, independent=occupied)


def _spread(counts: IntArray, length: int) -> IntArray:
    """Draws of a unit from the counts of the starts that reach it: a circular moving sum."""
    if length == 1:
        return counts
    wrapped = np.concatenate([counts[:, -length:], counts], axis=1).cumsum(axis=1)
    return wrapped[:, length:] - wrapped[:, :-length]
