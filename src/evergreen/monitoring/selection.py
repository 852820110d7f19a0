"""Which predictions get a label: whether that depends on what was predicted, and what is learnt from them all the same.

Labels that come back only for some answers (only refused loans are never repaid, only alarms are looked into) make both
a training set and a realised loss that are of those answers alone. Where labelling depends on nothing but version and
prediction, weights undo that (Horvitz and Thompson, 1952); where it may depend on more, only answers whose labels were
sought whatever was predicted do: `explored` ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

LEVEL = 0.01
"""Chance of a warning where labelling depends on nothing."""

LEAST_EFFECT = 0.1
"""Cramér's V from which a dependence matters: "small" by Cohen (1988, 7.2.3). Of many rows the least one is certain."""

LEAST_EXPLORED = 200
"""Labelled explored answers from which on they speak alone."""

_TENTHS = np.arange(1, 10) / 10
# Cochran's rule (1954): a chi-squared test is one where no cell is expected to hold fewer.
_LEAST_EXPECTED = 5.0


@dataclass(frozen=True)
class Part:
    """Predictions that have something in common, and how many of them have a label.

    >>> Part("yes", 200, 30).share
    0.15
    """

    name: str
    rows: int
    labelled: int

    @property
    def share(self) -> float:
        """Of the rows, 0 where there are none."""
        return self.labelled / self.rows if self.rows else 0.0


@dataclass(frozen=True)
class LabelSelection:
    """How labels are spread over predictions that could have one.

    `by_prediction` are classes, or tenths of numbers in order of size. `p_value` is of "labelling does not depend on
    the prediction", within each version, and `effect` is Cramér's V; None where labels are too few to tell. `explored`
    is None where no answer was marked so.
    """

    whole: Part
    by_prediction: tuple[Part, ...]
    by_version: tuple[Part, ...]
    p_value: float | None = None
    effect: float | None = None
    explored: Part | None = None

    @property
    def selective(self) -> bool:
        """True where labelling depends on the prediction, for certain and by enough to matter."""
        if self.p_value is None or self.effect is None:
            return False
        return self.p_value < LEVEL and self.effect >= LEAST_EFFECT

    @property
    def said(self) -> str:
        """In a sentence, with the parts that have most and fewest labels."""
        said = (
            f"{self.whole.labelled:,} of {self.whole.rows:,} mature predictions have a label ({self.whole.share:.0%})"
        )
        if self.explored is not None:
            said += f"; of {self.explored.rows:,} explored ones {self.explored.share:.0%}"
        if not self.selective:
            return said
        most, least = (choose(self.by_prediction, key=lambda part: part.share) for choose in (max, min))
        named = f"{most.name} in {most.share:.0%} of cases, {least.name} in {least.share:.0%}"
        return f"{said}, and that depends on what was predicted: {named}"


@dataclass(frozen=True)
class Weighted:
    """Labelled answers that stand for all: positions, a weight each with mean 1, and how they were chosen."""

    rows: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float64]
    why: str


def label_selection(answers: "pd.DataFrame") -> LabelSelection:
    """Who gets labels, among answers that are old enough for one.

    `answers` has `prediction`, `version`, `labelled` (bool) and, where answers were explored, `explored` (bool).

    >>> import pandas as pd
    >>> said = pd.DataFrame({"prediction": ["no", "yes"] * 500, "version": 1, "labelled": [False, True] * 500})
    >>> label_selection(said).selective, label_selection(said.assign(labelled=True)).selective
    (True, False)
    """
    labelled = answers["labelled"].to_numpy(dtype=bool)
    names, cells = _cells(answers["prediction"])
    versions, version = np.unique(answers["version"].to_numpy(), return_inverse=True)
    p_value, effect = _dependence(cells, version, labelled)
    explored = answers["explored"].to_numpy(dtype=bool) if "explored" in answers else np.zeros(len(answers), bool)
    return LabelSelection(
        Part("all", len(answers), int(labelled.sum())),
        _parts(names, cells, labelled),
        _parts([f"version {number}" for number in versions], version, labelled),
        p_value,
        effect,
        Part("explored", int(explored.sum()), int(labelled[explored].sum())) if explored.any() else None,
    )


def representative(answers: "pd.DataFrame", selection: LabelSelection, least: int = LEAST_EXPLORED) -> Weighted:
    """The labelled answers that a mean over all is best estimated from; `answers` as `label_selection` takes them.

    All of them where labelling does not depend on the prediction; else the explored ones, where there are enough, and
    else all, each for as many as its version and prediction has.
    """
    labelled = answers["labelled"].to_numpy(dtype=bool)
    every = np.flatnonzero(labelled)
    if not selection.selective:
        return Weighted(every, np.ones(len(every)), "every label")
    explored = answers["explored"].to_numpy(dtype=bool) if "explored" in answers else np.zeros(len(answers), bool)
    chosen = np.flatnonzero(labelled & explored)
    if len(chosen) >= least:
        return Weighted(chosen, np.ones(len(chosen)), f"{len(chosen):,} explored answers")
    weights = _cell_weights(answers, labelled)[every]
    return Weighted(every, weights / weights.mean(), "labels weighted by version and prediction")


def _parts(names: list[str], codes: npt.NDArray[Any], labelled: npt.NDArray[np.bool_]) -> tuple[Part, ...]:
    rows, known = (np.bincount(c, minlength=len(names)) for c in (codes, codes[labelled]))
    return tuple(Part(*each) for each in zip(names, rows.tolist(), known.tolist(), strict=True))


def _cells(predictions: "pd.Series") -> tuple[list[str], npt.NDArray[np.int64]]:
    """What predictions are put together by: their class, or their tenth where they are numbers."""
    import pandas as pd

    if not pd.api.types.is_float_dtype(predictions.dtype):
        codes, classes = pd.factorize(predictions.astype(str), sort=True)
        return list(classes), codes.astype(np.int64)
    values = predictions.to_numpy(dtype=np.float64)
    edges = np.unique(np.quantile(values, _TENTHS)) if len(values) else np.empty(0)
    bounds = [f"{edge:.4g}" for edge in edges]
    names = [f"up to {bounds[0]}", *(f"{a} to {b}" for a, b in pairwise(bounds))]
    return [*names, f"above {bounds[-1]}"], np.searchsorted(edges, values, side="left")


def _dependence(
    cells: npt.NDArray[Any], versions: npt.NDArray[Any], labelled: npt.NDArray[np.bool_]
) -> tuple[float | None, float | None]:
    """Chi-squared of independence, summed over the versions, and Cramér's V.

    A version that is labelled more than another is no dependence on the prediction; sums of independent chi-squared
    statistics are one, with the sum of their degrees of freedom.
    """
    from scipy.stats import chi2

    if labelled.all():
        return 1.0, 0.0
    found = [_statistic(table) for table in _tables(cells, versions, labelled)]
    statistic, freedom, rows = (float(sum(column)) for column in zip(*found, strict=True)) if found else (0.0, 0.0, 0.0)
    if not freedom:
        return None, None
    return float(chi2.sf(statistic, freedom)), float(np.sqrt(statistic / rows))


def _tables(
    cells: npt.NDArray[Any], versions: npt.NDArray[Any], labelled: npt.NDArray[np.bool_]
) -> Iterator[npt.NDArray[np.float64]]:
    """Of each version, labelled and unlabelled rows (2, cells), without cells that are too small for the test."""
    for version in np.unique(versions):
        mine = versions == version
        sides = [np.bincount(cells[mine & side], minlength=cells.max() + 1) for side in (labelled, ~labelled)]
        table = np.stack(sides).astype(np.float64)
        rarer = table.sum(axis=1).min() / max(table.sum(), 1.0)
        large = table.sum(axis=0) * rarer >= _LEAST_EXPECTED
        if large.sum() > 1:
            yield table[:, large]


def _statistic(table: npt.NDArray[np.float64]) -> tuple[float, int, float]:
    """Pearson's statistic of a table, its degrees of freedom and its rows."""
    rows = table.sum()
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / rows
    if not expected.all():
        return 0.0, 0, 0.0
    return float(((table - expected) ** 2 / expected).sum()), table.shape[1] - 1, float(rows)


def _cell_weights(answers: "pd.DataFrame", labelled: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Rows for each labelled row of the same version and prediction; 0 where none is labelled."""
    _, cells = _cells(answers["prediction"])
    _, versions = np.unique(answers["version"].to_numpy(), return_inverse=True)
    cell = versions * (cells.max() + 1) + cells
    rows, known = (np.bincount(c, minlength=cell.max() + 1) for c in (cell, cell[labelled]))
    weights: npt.NDArray[np.float64] = (rows / np.maximum(known, 1))[cell]
    return weights
