"""Folds as matrices on disk: preprocessing is fitted once a fold and encoding, and every trial maps what it left."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from numpy.lib import format as npy
from sklearn.pipeline import Pipeline

from evergreen.errors import IntegrityError
from evergreen.files import digest_of, read_json, write_json, write_whole
from evergreen.spec.training import TimeSplit, TrainingSpec
from evergreen.training.continued import fitted_preprocessing
from evergreen.training.folds import newer_folds, shuffled_folds, time_folds
from evergreen.training.handles import Encoding, Folds
from evergreen.training.rowkeys import named_keys
from evergreen.training.split import Sides, gap_of
from evergreen.training.table import TrainingTable

# Rows are transformed and written so many at a time, so that only a block exists twice.
_BLOCK = 32_768
_INDEX = "folds.json"


@dataclass(frozen=True)
class Fold:
    """One encoded fold: float32 matrices, mapped from disk; targets are class positions (int32) or float64."""

    train: npt.NDArray[np.float32]
    validation: npt.NDArray[np.float32]
    y_train: npt.NDArray[Any]
    y_validation: npt.NDArray[Any]
    categorical_mask: tuple[bool, ...]


@dataclass(frozen=True)
class FoldPlan:
    """Which training rows are on which side of each fold (positions among the training rows), and their targets."""

    sides: tuple[Sides, ...]
    y: npt.NDArray[Any]
    classes: tuple[str, ...]


def plan_folds(table: TrainingTable, training: TrainingSpec) -> FoldPlan:
    """The folds of the training rows: ordered by time with a time split, by whole groups with a group column.

    Raises DataError where rows, classes, groups or times are too few.
    """
    rows, folds = table.train_positions(), training.cross_validation.folds
    y, classes = table.read_target(rows)
    group_column = table.data.group_column
    groups = None if group_column is None else named_keys(table.path, group_column)[rows]
    if isinstance(training.split, TimeSplit):
        times, gap = table.read_times(rows), gap_of(training.split, table.data)
        new = table.new_rows(rows)
        sides = newer_folds(times, new, folds, gap, groups) if table.start else time_folds(times, folds, gap, groups)
    else:
        sides = shuffled_folds(len(rows), folds, training.seed, y if classes else None, groups)
    return FoldPlan(tuple(sides), y, classes)


def encode_folds(table: TrainingTable, training: TrainingSpec, encoding: Encoding, folder: Path) -> Folds:
    """Encode every fold in one encoding; folds that an earlier try has finished are kept.

    Raises DataError where rows, classes, groups or times are too few for the folds.
    """
    place = _place(table, training, encoding, folder)
    missing = [index for index in range(training.cross_validation.folds) if _described(place, index) is None]
    if missing:
        plan, frame = plan_folds(table, training), table.read_inputs(table.train_positions())
        for index in missing:
            _encode(table, encoding, frame, plan, index, place)
    return join_folds(table, training, encoding, folder)


def encode_fold(table: TrainingTable, training: TrainingSpec, encoding: Encoding, index: int, folder: Path) -> None:
    """Encode one fold, where folds are spread over workers; `join_folds` makes them one handle."""
    place = _place(table, training, encoding, folder)
    if _described(place, index) is None:
        plan, frame = plan_folds(table, training), table.read_inputs(table.train_positions())
        _encode(table, encoding, frame, plan, index, place)


def join_folds(table: TrainingTable, training: TrainingSpec, encoding: Encoding, folder: Path) -> Folds:
    """The handle of all folds; raises IntegrityError while one is not encoded."""
    place = _place(table, training, encoding, folder)
    folds = [_described(place, index) for index in range(training.cross_validation.folds)]
    if any(fold is None for fold in folds):
        raise IntegrityError(f"{place}: a fold is not encoded, or its folder was cleared; run the training again")
    described = [fold for fold in folds if fold is not None]
    digest = _digest(table, training, encoding)
    write_json(place / _INDEX, {"digest": digest, "task": table.task, "classes": described[0]["classes"]})
    start = table.start if encoding == "champion" else None
    return Folds(str(place), encoding, len(described), max(fold["columns"] for fold in described), start)


def read_index(folds: Folds) -> dict[str, Any]:
    """`digest`, `task` and `classes` of encoded folds; raises IntegrityError when they are gone."""
    index = read_json(Path(folds.path) / _INDEX)
    if index is None:
        raise IntegrityError(f"{folds.path}: encoded folds are gone, their folder was cleared; run the training again")
    return index


def read_fold(folds: Folds, index: int) -> Fold:
    """One fold, mapped into memory; nothing is read before it is used."""
    place, described = Path(folds.path), _described(Path(folds.path), index)
    if described is None:
        raise IntegrityError(f"{place}: fold {index} is gone, its folder was cleared; run the training again")
    # scikit-learn's trees ask for a writable buffer, which they do not write to: "c" keeps the file as it is.
    train, validation, y_train, y_validation = (
        np.load(_file(place, index, part), mmap_mode="c" if part.startswith("x") else None)
        for part in ("x-train", "x-validation", "y-train", "y-validation")
    )
    return Fold(train, validation, y_train, y_validation, tuple(described["categorical_mask"]))


def transform_blocks(preprocessing: Pipeline, frame: pd.DataFrame, rows: npt.NDArray[Any]) -> Iterator[Any]:
    """The encoded rows of a frame, a block of float32 at a time."""
    for start in range(0, max(len(rows), 1), _BLOCK):
        yield preprocessing.transform(frame.iloc[rows[start : start + _BLOCK]])


def _encode(
    table: TrainingTable, encoding: Encoding, frame: pd.DataFrame, plan: FoldPlan, index: int, place: Path
) -> None:
    """Fit on the fold's training part alone, write both parts, and its description last: it says that all is there.

    The champion's preprocessing stays as it is, and only what is new to it is learned.
    """
    train, validation = plan.sides[index]
    if encoding == "champion":
        preprocessing = fitted_preprocessing(table.start)
        train = train[table.new_rows(table.train_positions()[train])]
    else:
        preprocessing = table.preprocessing(encoding)
        preprocessing.fit(frame.iloc[train], plan.y[train])
    for name, rows in (("train", train), ("validation", validation)):
        _write_matrix(_file(place, index, f"x-{name}"), transform_blocks(preprocessing, frame, rows), len(rows))
        _write_array(_file(place, index, f"y-{name}"), plan.y[rows])
    mask = preprocessing["encode"].categorical_mask_
    write_json(
        place / f"fold-{index}.json",
        {"columns": len(mask), "categorical_mask": mask.tolist(), "classes": plan.classes},
    )


def _write_matrix(path: Path, blocks: Iterator[npt.NDArray[np.float32]], rows: int) -> None:
    first = next(blocks)
    header = {"descr": npy.dtype_to_descr(first.dtype), "fortran_order": False, "shape": (rows, first.shape[1])}

    def write(file: Any) -> None:
        npy.write_array_header_1_0(file, header)
        file.write(first.data)
        for block in blocks:
            file.write(block.data)

    write_whole(path, write)


def _write_array(path: Path, values: npt.NDArray[Any]) -> None:
    write_whole(path, lambda file: np.save(file, values))


def _file(place: Path, index: int, part: str) -> Path:
    return place / f"fold-{index}-{part}.npy"


def _described(place: Path, index: int) -> dict[str, Any] | None:
    return read_json(place / f"fold-{index}.json")


def _place(table: TrainingTable, training: TrainingSpec, encoding: Encoding, folder: Path) -> Path:
    return folder / f"folds-{encoding}-{_digest(table, training, encoding)[:12]}"


def _digest(table: TrainingTable, training: TrainingSpec, encoding: Encoding) -> str:
    """What the encoded folds depend on, and nothing else."""
    gap = gap_of(training.split, table.data) if isinstance(training.split, TimeSplit) else None
    folds = (training.split.kind, str(gap), training.cross_validation.folds, training.seed, table.data.group_column)
    return digest_of([table.inputs_digest(), folds, encoding])
