"""Which labelled rows train and which are held out."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evergreen.errors import DataError
from evergreen.files import digest_of, write_whole
from evergreen.spec.base import format_duration
from evergreen.spec.data import DataSpec
from evergreen.spec.training import RandomSplit, Split, TimeSplit
from evergreen.training.handles import RowSplit
from evergreen.training.rowkeys import content_keys, named_keys, shuffled

Positions = npt.NDArray[np.int64]
Sides = tuple[Positions, Positions]


def split_rows(snapshot_path: str, data: DataSpec, split: Split, task: str, folder: Path) -> RowSplit:
    """Split the labelled rows of a snapshot and store their positions in `folder`.

    Raises DataError, with the numbers and what to change, when a side is empty or training has a single class.
    """
    from evergreen.data.frame import read_snapshot

    columns = dict.fromkeys(c for c in (data.target, data.time_column, data.group_column) if c is not None)
    frame = read_snapshot(snapshot_path, list(columns))
    labelled = frame[data.target].notna().to_numpy()
    times = frame[data.time_column].to_numpy() if data.time_column and isinstance(split, TimeSplit) else None
    groups = None if data.group_column is None else named_keys(snapshot_path, data.group_column)
    draw = _name_draw(snapshot_path, data, split) if isinstance(split, RandomSplit) else ""
    if isinstance(split, TimeSplit):
        split = split.model_copy(update={"gap": gap_of(split, data)})
        train, holdout = time_positions(_required(times, data), labelled, split, groups)
    else:
        keys = _keys(snapshot_path, data) if groups is None else groups
        classes = frame[data.target].cat.codes.to_numpy() if task == "classification" else None
        train, holdout = random_positions(keys, labelled, split, classes)
    if task == "classification":
        _require_two_classes(frame[data.target], train)
    return replace(_store(folder / "split.npz", (train, holdout), times), draw=draw)


def gap_of(split: TimeSplit, data: DataSpec) -> timedelta:
    """How long before a block no row is learned from: the label delay, unless the spec names a gap.

    A label that comes late was not known when the block began, so whoever trains then cannot have it.
    """
    return data.label_delay if split.gap is None else split.gap


def read_positions(split: RowSplit) -> Sides:
    """The positions of training and of holdout rows in the snapshot, ascending."""
    with np.load(split.path) as stored:
        return stored["train"], stored["holdout"]


def time_positions(
    times: npt.NDArray[np.datetime64],
    labelled: npt.NDArray[np.bool_],
    split: TimeSplit,
    groups: npt.NDArray[np.uint64] | None = None,
) -> Sides:
    """Hold out the labelled rows of the newest `split.holdout`; every training row is older than all of them.

    Rows within `split.gap` before the holdout are on neither side, nor are training rows of a group that is held out.
    """
    usable = labelled & ~np.isnat(times)
    if not usable.any():
        raise DataError("training.split: no row has a label and a time; nothing can be learned or held out")
    newest, oldest = times[usable].max(), times[usable].min()
    cut = newest - np.timedelta64(split.holdout)
    until = cut - np.timedelta64(split.gap) if split.gap else cut
    holdout = np.flatnonzero(usable & (times > cut))
    train = without_groups(np.flatnonzero(usable & (times <= until)), holdout, groups)
    if not len(train):
        gap = f" with a gap of {format_duration(split.gap)}" if split.gap else ""
        raise DataError(
            f"training.split: holdout {format_duration(split.holdout)}{gap} leaves no row to train on: the "
            f"{usable.sum()} labelled rows span {_moment(oldest)} to {_moment(newest)}; shorten holdout or gap (left "
            "out, it is data.label_delay), or lengthen the window"
        )
    return train, holdout


def random_positions(
    keys: npt.NDArray[np.uint64],
    labelled: npt.NDArray[np.bool_],
    split: RandomSplit,
    classes: npt.NDArray[Any] | None = None,
) -> Sides:
    """Hold out the rows whose shuffled keys are smallest: `split.holdout` of each class, as near as whole keys allow.

    Rows with one key stay together and belong to the smallest class among them. As a table grows, only keys next to
    the cut change sides.
    """
    rows = np.flatnonzero(labelled)
    unique, first, counts = _distinct(shuffled(keys[rows], split.seed))
    stratum = np.zeros(len(unique), dtype=np.int64)
    if classes is not None:
        stratum[:] = np.iinfo(np.int64).max
        np.minimum.at(stratum, first, classes[rows].astype(np.int64))
    held = np.zeros(len(unique), dtype=bool)
    for value in np.unique(stratum):
        # `unique` is ascending, so the first keys of a stratum are its smallest.
        members = np.flatnonzero(stratum == value)
        held[members[: _nearest(counts[members], split.holdout)]] = True
    sides = rows[~held[first]], rows[held[first]]
    if not all(map(len, sides)):
        raise DataError(
            f"training.split: holdout {split.holdout:g} of {len(rows)} labelled rows ({len(unique)} distinct) leaves "
            f"{len(sides[0])} to train on and {len(sides[1])} held out; bring more rows, change the share, "
            "or name data.id_column when rows repeat"
        )
    return sides


def without_groups(train: Positions, apart: Positions, groups: npt.NDArray[Any] | None) -> Positions:
    """The training rows whose group has no row among `apart`; all of them without groups.

    >>> without_groups(np.array([0, 1]), np.array([2]), np.array([7, 8, 7])).tolist()
    [1]
    """
    return train if groups is None else train[~np.isin(groups[train], groups[apart])]


def _keys(snapshot_path: str, data: DataSpec) -> npt.NDArray[np.uint64]:
    """What names a row: its id, else all its columns."""
    return content_keys(snapshot_path) if data.id_column is None else named_keys(snapshot_path, data.id_column)


def _name_draw(snapshot_path: str, data: DataSpec, split: RandomSplit) -> str:
    """Digest of all that a row's side depends on, beside the row: which columns are its key, the seed and the share.

    Rows without a name are drawn by all their columns, so that these count where there is such a row.
    """
    from evergreen.data.frame import read_snapshot, snapshot_types

    types, named = snapshot_types(snapshot_path), data.group_column or data.id_column
    is_unnamed = named is None or bool(read_snapshot(snapshot_path, [named])[named].isna().any())
    columns = sorted(types.items()) if is_unnamed else []
    return digest_of(["random", split.seed, split.holdout, named, named and types[named], columns])


def _distinct(keys: npt.NDArray[np.uint64]) -> tuple[Any, Any, Any]:
    return np.unique(keys, return_inverse=True, return_counts=True)


def _nearest(counts: npt.NDArray[np.int64], share: float) -> int:
    """How many of the first keys come nearest to a share of all rows."""
    rows = np.concatenate([[0], np.cumsum(counts)])
    return int(np.argmin(np.abs(rows - share * rows[-1])))


def _required(times: npt.NDArray[np.datetime64] | None, data: DataSpec) -> npt.NDArray[np.datetime64]:
    if times is None:
        raise DataError(f"training.split: kind time needs data.time_column, and {data.target!r} has none beside it")
    return times


def _require_two_classes(target: Any, train: Positions) -> None:
    counts = target.iloc[train].value_counts()
    present = [str(name) for name, rows in counts.items() if rows]
    if len(present) < 2:
        raise DataError(
            f"training.split: all {len(train)} training rows are {present[0]!r}; a classifier needs two classes: "
            "make the holdout shorter or the window longer, or check the target column"
        )


def _store(path: Path, sides: Sides, times: npt.NDArray[np.datetime64] | None) -> RowSplit:
    train, holdout = (side.astype(np.int64) for side in sides)
    write_whole(path, lambda file: np.savez(file, train=train, holdout=holdout))
    if times is None:
        return RowSplit(str(path), len(train), len(holdout))
    until, first, last = map(_moment, (times[train].max(), times[holdout].min(), times[holdout].max()))
    return RowSplit(str(path), len(train), len(holdout), until, first, last)


def _moment(time: np.datetime64) -> datetime:
    moment: datetime = time.astype("datetime64[us]").item()
    return moment.replace(tzinfo=UTC)
