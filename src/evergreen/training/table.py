"""What of a snapshot a model is trained on: the rows and columns that all of training reads."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.pipeline import Pipeline

from evergreen.data.parse import text_rules
from evergreen.data.snapshot import Snapshot
from evergreen.errors import DataError
from evergreen.features.derive import derivation
from evergreen.features.encode import Encoding as FitEncoding
from evergreen.features.pipeline import build_preprocessing
from evergreen.files import digest_of
from evergreen.spec import ModelSpec
from evergreen.spec.columns import ColumnType
from evergreen.spec.data import DataSpec
from evergreen.spec.features import FeatureSpec
from evergreen.training.estimators import Task
from evergreen.training.handles import RowSplit, Start
from evergreen.training.split import read_positions

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TrainingTable:
    """A snapshot, the split of its rows, and the parts of a spec that say what is learned from it."""

    path: str
    digest: str
    split: RowSplit
    task: Task
    data: DataSpec
    features: FeatureSpec
    types: Mapping[str, ColumnType]
    start: Start | None = None

    @classmethod
    def of(cls, spec: ModelSpec, snapshot: Snapshot, split: RowSplit, start: Start | None = None) -> "TrainingTable":
        """The table of a spec; with `start` some of its recipes go on from there."""
        return cls(snapshot.path, snapshot.digest, split, spec.task, spec.data, spec.features, spec.column_types, start)

    def inputs_digest(self) -> str:
        """sha256 over what preprocessing and an estimator learn from: rows, columns, types and features."""
        rows = hashlib.sha256(self.train_positions().tobytes()).hexdigest()
        columns = (self.data.target, self.data.time_column)
        features = self.features.model_dump(mode="json")
        # The fitted pipeline reads raw rows by them, so that one of other rules is another model.
        texts = asdict(text_rules(self.data.source))
        parts = [self.digest, rows, columns, features, dict(self.types), self.task, texts]
        return digest_of(parts if self.start is None else [*parts, self.start.artifact, str(self.start.newer_than)])

    def preprocessing(self, encoding: FitEncoding) -> Pipeline:
        """The unfitted preprocessing of this table in an encoding."""
        return build_preprocessing(
            self.features, self.types, encoding, self.data.time_column, text_rules(self.data.source)
        )

    def train_positions(self) -> npt.NDArray[np.int64]:
        """Positions of the training rows in the snapshot, ascending."""
        return read_positions(self.split)[0]

    def read_inputs(self, rows: npt.NDArray[np.int64]) -> Any:
        """The canonical frame of what the pipeline reads, for some rows."""
        from evergreen.data.frame import read_snapshot

        return read_snapshot(self.path, list(derivation(self.features, self.data.time_column).raw), rows)

    def new_rows(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which of some rows are newer than all that the champion learned from; all of them without a start."""
        if self.start is None:
            return np.ones(len(rows), bool)
        return self.read_times(rows) > np.datetime64(self.start.newer_than, "us")

    def read_times(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.datetime64]:
        """The time of some rows; raises DataError without a time column."""
        from evergreen.data.frame import read_snapshot

        name = self.data.time_column
        if name is None:
            raise DataError(f"{self.path}: rows cannot be ordered by time, data.time_column is not set")
        return read_snapshot(self.path, [name], rows)[name].to_numpy()

    def read_target(self, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
        """Targets of some rows: class positions (int32) and the sorted classes, or float64 and no classes.

        Raises DataError where a row has no label: such rows never reach training.
        """
        from evergreen.data.frame import read_snapshot

        target = read_snapshot(self.path, [self.data.target], rows)[self.data.target]
        if target.isna().any():
            raise DataError(f"{self.path}: {int(target.isna().sum())} training rows have no label in {target.name!r}")
        if self.task == "regression":
            return target.to_numpy(dtype=np.float64), ()
        codes, classes = target.cat.codes.to_numpy(), np.asarray(target.cat.categories, dtype=object)
        present = np.unique(codes)
        order = present[np.argsort(classes[present].astype(str), kind="stable")]
        position = np.zeros(len(classes), dtype=np.int32)
        position[order] = np.arange(len(order), dtype=np.int32)
        return position[codes], tuple(str(name) for name in classes[order])
