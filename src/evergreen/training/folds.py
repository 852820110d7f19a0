"""Cross-validation folds that follow the data: ordered by time, whole groups, or stratified."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from evergreen.errors import DataError
from evergreen.training.split import Positions, Sides, without_groups


def time_folds(
    times: npt.NDArray[np.datetime64],
    folds: int,
    gap: timedelta | None = None,
    groups: npt.NDArray[Any] | None = None,
) -> list[Sides]:
    """Expanding folds: each validates on the block of rows that follows all it trains on.

    Blocks come from scikit-learn's TimeSeriesSplit over the rows in order of time, moved so that equal times never
    straddle. Positions refer to `times`. A `gap` before each block is not trained on, nor are groups that it holds.
    """
    from sklearn.model_selection import TimeSeriesSplit

    _require_rows(len(times), folds)
    order = np.argsort(times, kind="stable")
    ordered = times[order]
    starts = [block[0] for _, block in TimeSeriesSplit(folds).split(ordered)]
    edges = [*np.searchsorted(ordered, ordered[starts], side="left"), len(ordered)]
    if edges[0] == 0 or len(set(edges)) < len(edges):
        raise DataError(
            f"training.cross_validation: {len(times)} training rows have {len(np.unique(times))} different times, too "
            f"few for {folds} folds ordered by time; use fewer folds, a longer window, or split kind random"
        )
    return [_before(ordered, order, block, gap, groups) for block in pairwise(edges)]


def newer_folds(
    times: npt.NDArray[np.datetime64],
    new: npt.NDArray[np.bool_],
    folds: int,
    gap: timedelta | None = None,
    groups: npt.NDArray[Any] | None = None,
) -> list[Sides]:
    """Expanding folds that validate on new rows alone, and train on all rows before.

    A model that goes on from the champion has learned from the rows that are not new: of them it may not be judged.
    """
    fresh, old = np.flatnonzero(new), np.flatnonzero(~new)
    sides = time_folds(times[fresh], folds, gap, None if groups is None else groups[fresh])
    whole = []
    for train, validation in sides:
        judged = fresh[validation]
        until = times[judged].min() - np.timedelta64(gap or timedelta(0))
        before = old[times[old] <= until]
        whole.append((np.sort(np.concatenate([without_groups(before, judged, groups), fresh[train]])), judged))
    return whole


def shuffled_folds(
    rows: int,
    folds: int,
    seed: int,
    classes: npt.NDArray[Any] | None = None,
    groups: npt.NDArray[Any] | None = None,
) -> list[Sides]:
    """Seeded folds: stratified by class where `classes` are given, with whole groups where `groups` are."""
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    _require_rows(rows, folds)
    _require_groups(groups, folds)
    _require_class_size(classes, folds)
    if groups is None:
        kind: Any = KFold if classes is None else StratifiedKFold
    else:
        kind = GroupKFold if classes is None else StratifiedGroupKFold
    splitter = kind(folds, shuffle=True, random_state=seed)
    empty = np.empty((rows, 0))
    return [(train, validation) for train, validation in splitter.split(empty, classes, groups)]


def _before(
    ordered: npt.NDArray[np.datetime64],
    order: Positions,
    block: tuple[int, int],
    gap: timedelta | None,
    groups: npt.NDArray[Any] | None,
) -> Sides:
    start, stop = block
    last = np.searchsorted(ordered, ordered[start] - np.timedelta64(gap), side="right") if gap else start
    validation = np.sort(order[start:stop])
    train = without_groups(np.sort(order[: min(last, start)]), validation, groups)
    if not len(train):
        raise DataError(
            f"training.cross_validation: a fold has no row to train on before {ordered[start]}; use fewer folds, a "
            "shorter gap, or groups that do not reach over the whole time"
        )
    return train, validation


def _require_rows(rows: int, folds: int) -> None:
    if rows <= folds:
        raise DataError(f"training.cross_validation: {rows} training rows are too few for {folds} folds")


def _require_groups(groups: npt.NDArray[Any] | None, folds: int) -> None:
    if groups is not None and len(np.unique(groups)) < folds:
        raise DataError(
            f"training.cross_validation: {len(np.unique(groups))} groups are too few for {folds} folds; use fewer folds"
        )


def _require_class_size(classes: npt.NDArray[Any] | None, folds: int) -> None:
    """scikit-learn refuses when no class fills the folds; it warns, and goes on, when only some do not."""
    if classes is None:
        return
    sizes: Sequence[int] = np.unique(classes, return_counts=True)[1].tolist()
    if max(sizes) < folds:
        raise DataError(
            f"training.cross_validation: the largest class has {max(sizes)} rows, too few for {folds} folds"
        )
