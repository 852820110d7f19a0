"""What chance alone does to a window: distances of resamples of the reference, and the thresholds that follow."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evergreen.drift.profile import ColumnProfile, Profile
from evergreen.monitoring.cells import encode_column, reference_counts
from evergreen.monitoring.distance import Ruler, ruler

# Larger windows are drawn at this size: the distances are sums over so many rows that they shrink with the root of it.
DRAWN = 2_000
# Rows that stand for a column which the reference's sample does not have.
_STAND_IN = 20_000


@dataclass(frozen=True)
class Chance:
    """Distances of windows of `rows` rows in which nothing moved: a row for each resample, a column for each ruler."""

    rows: int
    rulers: Mapping[str, Ruler]
    distances: np.ndarray
    # What the reference has never seen may have a share of one of its rows all the same: the spread that this makes.
    grain: np.ndarray

    def single(self, chosen: np.ndarray, level: float) -> np.ndarray:
        """Thresholds of all columns, of which none of the chosen ones is exceeded but at this level.

        Every column's is as many of its standard deviations above its mean (the largest of them all is what is drawn
        from), so that noisy columns do not decide for the quiet ones.
        """
        mean, spread = self.distances.mean(axis=0), np.maximum(self.distances.std(axis=0), self.grain)
        largest = ((self.distances - mean) / spread)[:, chosen].max(axis=1)
        return np.maximum(mean, 1 / self.rows) + spread * quantile(largest, level)

    def weighted(self, weights: np.ndarray, level: float) -> float:
        """What the weighted sum of the distances exceeds at this level only."""
        return quantile(self.distances @ weights, level)


def quantile(drawn: np.ndarray, level: float) -> float:
    """The value that one more draw exceeds with a chance of at most `level`; the largest where draws are too few.

    >>> quantile(np.arange(1, 100), 0.05)
    95.0
    """
    place = math.ceil((len(drawn) + 1) * (1 - level))
    return float(np.sort(drawn)[min(place, len(drawn)) - 1])


def calibrate(
    profile: Profile, columns: Sequence[str], reference: pd.DataFrame | None, rows: int, resamples: int, seed: int
) -> Chance:
    """Distances of windows of so many rows from the profile, were both drawn from where the reference comes from.

    Rows of the reference's sample are drawn with replacement, whole, so that columns depend on each other as they do;
    without a sample, or where it lacks a column, by the column's own counts. That the profile is a sample as well
    widens the distances: by √(1 + rows / rows of the profile).
    """
    drawn = min(rows, DRAWN)
    rng = np.random.default_rng(seed)
    base = max(1, _STAND_IN if reference is None else len(reference))
    picked = rng.integers(0, base, size=(resamples, drawn))
    rulers = {name: ruler(profile.columns[name], drawn) for name in columns}
    distances, grain = np.empty((resamples, len(columns))), np.empty(len(columns))
    for place, name in enumerate(columns):
        column = profile.columns[name]
        cells = _cells(reference, name, column, base, rng)
        distances[:, place] = _distances(cells, picked, rulers[name]) * math.sqrt(drawn * _variance(rows, column))
        grain[place] = math.sqrt(_variance(rows, column) / column.rows)
    return Chance(rows, rulers, distances, grain)


def _variance(rows: int, column: ColumnProfile) -> float:
    """Of the difference between a window's mean and the reference's, in variances of one row."""
    return 1 / rows + 1 / column.rows


def _cells(
    reference: pd.DataFrame | None, name: str, column: ColumnProfile, rows: int, rng: np.random.Generator
) -> np.ndarray:
    with suppress(ValueError):
        if reference is not None and (reference.columns == name).sum() == 1:
            return encode_column(reference[name], column)
    counts = reference_counts(column)
    return rng.choice(len(counts), size=rows, p=counts / counts.sum())


def _distances(cells: np.ndarray, picked: np.ndarray, measure: Ruler) -> np.ndarray:
    """Of each row of `picked`, which names rows of the sample, from the whole sample."""
    resamples, drawn = picked.shape
    groups, size = measure.group[cells], len(measure.shares)
    places = groups[picked] + (np.arange(resamples) * size)[:, None]
    counts = np.bincount(places.ravel(), minlength=resamples * size).reshape(resamples, size)
    return measure.between(counts / drawn, np.bincount(groups, minlength=size) / len(groups))
