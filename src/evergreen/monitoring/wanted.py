"""Which unlabelled predictions are most worth a label: uncertain or drifted ones, spread over all there is.

Three wishes of active learning (Settles, Active Learning Literature Survey, 2009) in one draw:

- **uncertain**: a small margin between the two likeliest classes (margin sampling, section 3.1). Numbers have none.
- **drifted**: far from the champion's reference, against how far reference rows are from each other.
- **representative**: one label teaches little that its neighbour's has not taught. Rows are drawn by k-means++ (Arthur
  and Vassilvitskii, 2007), where a row's chance grows with the square of its distance to the nearest row drawn so far,
  as BADGE does (Ash et al., 2020) and unlike a plain ranking, whose first hundred may all be one case.

A row's chance is the square of (uncertainty + novelty), times that squared distance: what BADGE draws by is longer for
a row in the measure in which the model is unsure of it. Columns are as the reference has them: numbers by median and
interquartile range, cut at four of them, so that one absurd value does not make its row the most wanted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

Matrix = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.float64]

_FARTHEST = 4.0
_LEVELS = 20
_REFERENCE_ROWS = 1_000
_BLOCK = 20_000
# From this share of the reference on a row is far away.
_USUAL = 0.9
# Of numbers all rows are as uncertain, and so is one whose version gave no probabilities.
UNKNOWN = 0.5
# So that rows which the model is sure of, and knows, are drawn once all others are.
_LEAST = 1e-6


@dataclass(frozen=True)
class Wish:
    """One prediction: its position, and what speaks for it, both from 0 to 1; `uncertainty` None of a number."""

    position: int
    uncertainty: float | None
    novelty: float

    @property
    def why(self) -> str:
        """The stronger reason, in a word.

        >>> Wish(7, 0.9, 0.2).why, Wish(7, None, 0.97).why, Wish(7, 0.1, 0.3).why
        ('uncertain', 'drifted', 'representative')
        """
        if max(self.uncertainty or 0.0, self.novelty) < 0.5:
            return "representative"
        return "uncertain" if (self.uncertainty or 0.0) >= self.novelty else "drifted"


def choose_wanted(
    frame: "pd.DataFrame", reference: "pd.DataFrame", uncertainty: Numbers | None, top: int, seed: int
) -> tuple[Wish, ...]:
    """The `top` rows of a frame most worth a label, in the order in which they were drawn; the same for the same seed.

    Both frames are canonical and have the same columns; `uncertainty` is one number a row, from 0 to 1.
    """
    space = Space.of(reference)
    rows, known = space.place(frame), space.place(reference)
    novelty = _novelty(rows, _sample(known, seed))
    worth = novelty + (UNKNOWN if uncertainty is None else uncertainty)
    drawn = _spread(rows, worth**2 + _LEAST, min(top, len(frame)), np.random.default_rng(seed))
    return tuple(
        Wish(row, None if uncertainty is None else float(uncertainty[row]), float(novelty[row])) for row in drawn
    )


def margin_uncertainty(probabilities: Numbers) -> Numbers:
    """One less the margin between the two likeliest classes; `probabilities` has shape (rows, classes).

    >>> margin_uncertainty(np.array([[0.5, 0.5], [1.0, 0.0]])).tolist()
    [1.0, 0.0]
    """
    if probabilities.shape[1] < 2:
        return np.zeros(len(probabilities))
    second, first = np.partition(probabilities, -2, axis=1)[:, -2:].T
    uncertainty: Numbers = 1.0 - (first - second)
    return uncertainty


@dataclass(frozen=True)
class Space:
    """Columns on one scale: numbers with centre and spread, categories with the levels that have an axis."""

    numbers: dict[str, tuple[float, float]]
    levels: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, reference: "pd.DataFrame") -> "Space":
        """The scale of a reference; of a category the most frequent levels have an axis, all others share one."""
        numeric = reference.select_dtypes("number")
        others = [name for name in reference.columns if name not in numeric.columns]
        return cls(
            {name: _scale(numeric[name].to_numpy(np.float64)) for name in numeric.columns},
            {name: tuple(reference[name].astype(str).value_counts().index[:_LEVELS]) for name in others},
        )

    def place(self, frame: "pd.DataFrame") -> Matrix:
        """The rows of a frame as points; a missing number is at the centre, beside an axis that says it is missing."""
        axes = [axis for name in self.numbers for axis in self._number(name, frame[name].to_numpy(np.float64))]
        axes += [axis for name, known in self.levels.items() for axis in _indicators(frame[name], known)]
        return np.column_stack(axes or [np.zeros(len(frame))]).astype(np.float32)

    def _number(self, name: str, values: Numbers) -> tuple[Numbers, Numbers]:
        centre, spread = self.numbers[name]
        missing = np.isnan(values)
        placed = np.clip((np.where(missing, centre, values) - centre) / spread, -_FARTHEST, _FARTHEST)
        return placed, missing.astype(np.float64)


def _scale(values: Numbers) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if not len(known):
        return 0.0, 1.0
    low, centre, high = np.quantile(known, (0.25, 0.5, 0.75))
    spread = (high - low) or known.std() or 1.0
    return float(centre), float(spread)


def _indicators(column: "pd.Series", known: tuple[str, ...]) -> Iterator[Numbers]:
    """An axis for each level, at such a height that two rows of different levels are 1 apart."""
    values = column.astype(str).to_numpy()
    for level in known:
        yield (values == level) * np.sqrt(0.5)
    yield ~np.isin(values, known) * np.sqrt(0.5)


def _sample(rows: Matrix, seed: int) -> Matrix:
    if len(rows) <= _REFERENCE_ROWS:
        return rows
    return rows[np.random.default_rng(seed).choice(len(rows), _REFERENCE_ROWS, replace=False)]


def _novelty(rows: Matrix, reference: Matrix) -> Numbers:
    """How far rows are from the reference: 0 up to where nine in ten of its own rows are from their nearest, 1 beyond
    all of them.
    """
    own = np.sort(_nearest(reference, reference, itself=True))
    share = np.searchsorted(own, _nearest(rows, reference), side="left") / len(own)
    novelty: Numbers = np.clip((share - _USUAL) / (1 - _USUAL), 0.0, 1.0)
    return novelty


def _nearest(rows: Matrix, others: Matrix, itself: bool = False) -> Numbers:
    """Squared distance of each row to the nearest other one; `itself` is not counted, where rows are the others."""
    found = np.empty(len(rows))
    for start in range(0, len(rows), _BLOCK):
        part = _squared(rows[start : start + _BLOCK], others)
        if itself:
            part[np.arange(len(part)), np.arange(start, start + len(part))] = np.inf
        found[start : start + _BLOCK] = part.min(axis=1)
    return np.where(np.isfinite(found), found, 0.0)


def _squared(rows: Matrix, others: Matrix) -> Any:
    lengths = (rows**2).sum(axis=1)[:, np.newaxis] + (others**2).sum(axis=1)
    return np.maximum(lengths - 2 * rows @ others.T, 0.0)


def _spread(rows: Matrix, worth: Numbers, top: int, draw: np.random.Generator) -> list[int]:
    """Positions drawn one after another by worth times squared distance to what was drawn; equal rows come last."""
    chosen: list[int] = []
    away = np.ones(len(rows))
    for _ in range(top):
        chances = worth * away
        chances[chosen] = 0.0
        if not chances.any():
            chances = worth.copy()
            chances[chosen] = 0.0
        row = int(np.searchsorted(np.cumsum(chances), draw.random() * chances.sum(), side="right"))
        row = min(row, len(rows) - 1)
        distance = _squared(rows, rows[row : row + 1])[:, 0].astype(np.float64)
        away = distance if not chosen else np.minimum(away, distance)
        chosen.append(row)
    return chosen
