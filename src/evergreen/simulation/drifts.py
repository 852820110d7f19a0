"""What can happen to the rows of a table: each as a draw from rows that are there, so that it works on any table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evergreen.errors import UserError
from evergreen.simulation.kinds import Drift

if TYPE_CHECKING:
    import pandas as pd

_PRIOR = 2 / 3
_VALUES_OUT_OF_RANGE, _VALUES_LOST = 0.3, 0.6


@dataclass(frozen=True)
class Columns:
    """What is known of a table: its target, whether that has classes, and the inputs that are numbers.

    `nullable` are inputs that the schema lets be null, `floors` the least value that it lets a number have.
    """

    target: str
    has_classes: bool
    numbers: tuple[str, ...]
    nullable: tuple[str, ...] = ()
    floors: tuple[tuple[str, float], ...] = ()


def require(columns: Columns, drift: Drift) -> None:
    """Raises UserError where a table has nothing that this drift could happen to."""
    if drift is Drift.COVARIATE and not columns.numbers:
        raise UserError("a covariate drift moves inputs that are numbers, and the model reads none; take another drift")
    if drift is Drift.BROKEN_FEED and not (columns.nullable or columns.floors):
        raise UserError(
            "a broken feed loses values and sends impossible ones, and no input has max_null_share above 0 or, "
            "a number, min; add one under schema.columns, or take another drift"
        )


def draw_rows(
    pool: "pd.DataFrame", columns: Columns, drift: Drift, strength: float, rows: int, draw: np.random.Generator
) -> "pd.DataFrame":
    """So many rows of a pool, with replacement, to which a drift has happened; `strength` is in 0..1.

    Covariate: rows are drawn by where they stand among all numbers (an exponential tilt), so that the outcome of an
    input stays what it was. Prior: two rows in three, at strength 1, have the outcome that is rarest (of numbers: are
    in the upper half). Concept: the outcomes of that share of the rows turn, those of the largest values of one input:
    each class becomes the next one, a number its mirror image. Broken feed: values of nullable inputs are lost, and
    numbers fall below their floor. Raises UserError where a drift has nothing to happen to.
    """
    require(columns, drift)
    weights = _weights(pool, columns, drift, strength)
    chosen = pool.iloc[draw.choice(len(pool), rows, p=weights)].reset_index(drop=True)
    if drift is Drift.CONCEPT:
        return _turn(chosen, pool, columns, strength)
    return _break(chosen, columns, strength, draw) if drift is Drift.BROKEN_FEED else chosen


def _weights(pool: "pd.DataFrame", columns: Columns, drift: Drift, strength: float) -> np.ndarray | None:
    if drift is Drift.COVARIATE:
        tilt = np.exp(4 * strength * _standing(pool, columns.numbers))
    elif drift is Drift.PRIOR:
        rare = _rare(pool, columns)
        share = rare.mean()
        wanted = max(share, _PRIOR * strength + share * (1 - strength))
        tilt = np.where(rare, wanted / max(share, 1e-9), (1 - wanted) / max(1 - share, 1e-9))
    else:
        return None
    return tilt / tilt.sum()


def _standing(pool: "pd.DataFrame", numbers: Sequence[str]) -> np.ndarray:
    """Where a row stands among all, on average over its numbers: ranks scaled to 0..1, nulls in the middle."""
    ranks = [pool[name].astype(float).rank(pct=True).fillna(0.5).to_numpy() for name in numbers]
    mean = np.mean(ranks, axis=0)
    spread = mean.max() - mean.min()
    return (mean - mean.min()) / spread if spread else np.zeros(len(pool))


def _rare(pool: "pd.DataFrame", columns: Columns) -> np.ndarray:
    outcome = pool[columns.target]
    if columns.has_classes:
        texts = outcome.astype(str)
        return (texts == texts.value_counts().idxmin()).to_numpy()
    return (outcome > outcome.median()).to_numpy()


def _turn(rows: "pd.DataFrame", pool: "pd.DataFrame", columns: Columns, strength: float) -> "pd.DataFrame":
    outcome = rows[columns.target]
    turned = np.ones(len(rows), bool)
    if columns.numbers:
        by = max(columns.numbers, key=lambda name: pool[name].nunique())
        turned = (rows[by].astype(float) >= pool[by].astype(float).quantile(1 - strength)).to_numpy()
    if columns.has_classes:
        names = sorted(str(name) for name in pool[columns.target].dropna().unique())
        following = dict(zip(names, [*names[1:], names[0]], strict=True))
        texts = outcome.astype(object)
        return rows.assign(**{columns.target: texts.where(~turned, texts.astype(str).map(following))})
    mirrored = pool[columns.target].min() + pool[columns.target].max() - outcome
    return rows.assign(**{columns.target: outcome.where(~turned, mirrored)})


def _break(rows: "pd.DataFrame", columns: Columns, strength: float, draw: np.random.Generator) -> "pd.DataFrame":
    for name in columns.nullable:
        rows = rows.assign(**{name: rows[name].mask(draw.random(len(rows)) < _VALUES_LOST * strength)})
    for name, floor in columns.floors:
        fallen = draw.random(len(rows)) < _VALUES_OUT_OF_RANGE * strength
        rows = rows.assign(**{name: rows[name].mask(fallen & rows[name].notna().to_numpy(), floor - 1)})
    return rows
