"""Small tables that a training can be run on."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evergreen.data.load import take_snapshot
from evergreen.spec import ModelSpec
from evergreen.training.split import split_rows
from evergreen.training.table import TrainingTable

AS_OF = datetime(2026, 6, 1, tzinfo=UTC)


def _customers(rows: int = 240, seed: int = 0) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    hours = np.sort(draw.integers(0, 90 * 24, rows))
    price = draw.gamma(2, 10, rows).round(3)
    frame = pd.DataFrame(
        {
            "id": [f"c{n:04}" for n in range(rows)],
            "at": pd.Timestamp("2026-01-01") + pd.to_timedelta(hours, unit="h"),
            "price": price,
            "units": draw.integers(1, 9, rows),
            "plan": draw.choice(["basic", "plus", "pro"], rows),
            "shop": draw.choice([f"s{n}" for n in range(12)], rows),
            "level": np.where(price > 25, "high", np.where(price > 12, "mid", "low")),
            "spend": price * draw.normal(3, 0.1, rows),
        }
    )
    frame.loc[draw.random(rows) < 0.1, "plan"] = None
    return frame


def _spec(task: str = "classification", **training) -> ModelSpec:
    classification = task == "classification"
    return ModelSpec.model_validate(
        {
            "model": "customers",
            "task": task,
            "data": {
                "source": {"kind": "csv", "path": "unused.csv"},
                "target": "level" if classification else "spend",
                "time_column": "at",
            },
            "features": {
                "derive": [{"name": "total", "kind": "product", "of": ["price", "units"]}],
                "numeric": ["price", "units", "total"],
                "categorical": ["plan"],
            },
            "training": {
                "split": {"kind": "random", "holdout": 0.25},
                "cross_validation": {"folds": 3},
                "metric": "accuracy" if classification else "mae",
                "candidates": [{"kind": "logistic_regression" if classification else "ridge"}],
                **training,
            },
        }
    )


@pytest.fixture
def customers() -> Callable[..., pd.DataFrame]:
    """Customers in order of time, with classes `level` and a number `spend` that follow from the price."""
    return _customers


@pytest.fixture
def spec_of() -> Callable[..., ModelSpec]:
    """A spec over customers, with parts of its training replaced."""
    return _spec


@pytest.fixture
def snapshot_of(tmp_path: Path) -> Callable:
    """A snapshot of a frame, taken through a CSV file."""

    def take(frame: pd.DataFrame, spec: ModelSpec):
        path = tmp_path / "table.csv"
        frame.to_csv(path, index=False)
        source = spec.data.source.model_copy(update={"path": str(path)})
        data = spec.data.model_copy(update={"source": source})
        return take_snapshot(data, spec.column_types, AS_OF, str(tmp_path / "snapshots"))

    return take


@pytest.fixture
def table_of(tmp_path: Path, snapshot_of: Callable) -> Callable[..., TrainingTable]:
    """The training table of a frame: snapshot and split included."""

    def build(frame: pd.DataFrame, spec: ModelSpec) -> TrainingTable:
        snapshot = snapshot_of(frame, spec)
        split = split_rows(snapshot.path, spec.data, spec.training.split, spec.task, tmp_path / "work")
        return TrainingTable.of(spec, snapshot, split)

    return build
