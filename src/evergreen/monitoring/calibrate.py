"""What chance alone does to a window: distances of resamples of the reference, and the thresholds that follow."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from evergreen.drift.profile import ColumnProfile, Profile
from evergreen.monitoring.cells import encode_column, reference_counts
from evergreen.monitoring.distance import Ruler, distance

# Larger windows are drawn at this size: from there on distances shrink with the root of it.
DRAWN = 2_000
# Rows that stand for a column which the reference's sample does not have.
_STAND_IN = 20_000


@dataclass(frozen=True)
class Chance:
    """Distances of windows of `rows` rows in which nothing moved: a row for each resample, a column for each ruler."""

    rows: int
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
    """A value that one more draw exceeds with a chance of at most `level`; the largest where draws are too few.

    Taken one standard deviation of its own above, so that few draws are no licence to alarm.

    >>> quantile(np.arange(1, 1000), 0.05)
    957.0
    """
    place = (len(drawn) + 1) * (1 - level) + math.sqrt(len(drawn) * level * (1 - level))
    return float(np.sort(drawn)[min(math.ceil(place), len(drawn)) - 1])


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows that resamples are drawn from: of each column the cells that they are in."""

    profile: Profile
    cells: Mapping[str, np.ndarray]
    resamples: int
    seed: int


def read_sample(
    profile: Profile, columns: Sequence[str], reference: pd.DataFrame | None, resamples: int, seed: int
) -> Sample:
    """The reference's sample, read as its profile. A column that it lacks, and every column where there is none, is
    made up by its own counts.
    """
    rng = np.random.default_rng(seed)
    rows = _STAND_IN if reference is None or reference.empty else len(reference)
    cells = {name: _cells(reference, name, profile.columns[name], rows, rng) for name in columns}
    return Sample(profile, cells, resamples, seed)


def calibrate(sample: Sample, rulers: Mapping[str, Ruler], rows: int) -> Chance:
    """Distances that each ruler finds in windows of so many rows in which nothing moved.

    Rows of the sample are drawn with replacement, and whole, so that columns depend on each other as they do. That
    windows are held against a profile that is a sample itself widens the distances: the difference of two means has
    the variance 1 / rows + 1 / rows of the profile, in variances of one row.
    """
    drawn = min(rows, DRAWN)
    columns = [sample.profile.columns[name] for name in rulers]
    variance = np.array([1 / rows + 1 / column.rows for column in columns])
    found = [
        _distances(sample, name, drawn, measure.ordered, measure.group.tobytes()) for name, measure in rulers.items()
    ]
    grain = np.sqrt(variance / [column.rows for column in columns])
    return Chance(rows, np.stack(found, axis=1) * np.sqrt(drawn * variance), grain)


def _cells(
    reference: pd.DataFrame | None, name: str, column: ColumnProfile, rows: int, rng: np.random.Generator
) -> np.ndarray:
    with suppress(ValueError):
        if reference is not None and (reference.columns == name).sum() == 1:
            return encode_column(reference[name], column)
    counts = reference_counts(column)
    return rng.choice(len(counts), size=rows, p=counts / counts.sum())


# Windows of a size that are measured alike share their draws.
@lru_cache(maxsize=1_000)
def _distances(sample: Sample, name: str, drawn: int, ordered: bool, group: bytes) -> np.ndarray:
    """Of each resample of so many rows from the whole sample."""
    groups = np.frombuffer(group, dtype=np.int64)[sample.cells[name]]
    shares = np.bincount(groups) / len(groups)
    picked = _picked(len(groups), drawn, sample.resamples, sample.seed)
    places = groups[picked] + (np.arange(sample.resamples) * len(shares))[:, None]
    counts = np.bincount(places.ravel(), minlength=sample.resamples * len(shares))
    return distance(counts.reshape(sample.resamples, len(shares)) / drawn, shares, ordered)


@lru_cache(maxsize=1)
def _picked(rows: int, drawn: int, resamples: int, seed: int) -> np.ndarray:
    """The rows of each resample: the same for all columns."""
    return np.random.default_rng(seed).integers(0, rows, size=(resamples, drawn))
