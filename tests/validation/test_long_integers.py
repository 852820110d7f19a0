"""Integers that float64 cannot tell apart are judged by their digits."""

from datetime import UTC, datetime

import pandas as pd

from evergreen.data.frame import read_snapshot
from evergreen.data.load import take_snapshot
from evergreen.spec import ModelSpec
from evergreen.validation.validate import validate


def judged(folder, accounts):
    path = folder / "t.csv"
    frame = pd.DataFrame({"account": accounts, "x": range(len(accounts)), "y": ["a", "b"] * (len(accounts) // 2)})
    frame.to_csv(path, index=False)
    spec = ModelSpec.model_validate(
        {
            "model": "m",
            "task": "classification",
            "data": {"source": {"kind": "csv", "path": str(path)}, "target": "y", "id_column": "account"},
            "schema": {
                "columns": {
                    "account": {"type": "integer", "unique": True, "min": 0, "max_null_share": 0.0},
                    "x": {"type": "integer"},
                    "y": {"type": "category"},
                },
                "unique_key": ["account"],
                "max_duplicate_share": 0.0,
            },
            "features": {"numeric": ["x"]},
            "training": {"split": {"kind": "random"}, "metric": "accuracy", "candidates": [{"kind": "decision_tree"}]},
        }
    )
    snapshot = take_snapshot(spec.data, spec.column_types, datetime(2026, 1, 1, tzinfo=UTC), str(folder / "s"))
    return validate(read_snapshot(snapshot.path), snapshot, spec, None)


def test_neighbouring_long_numbers_are_not_the_same_one(tmp_path):
    found = judged(tmp_path, [10**18 + n for n in range(20)])
    assert found.passed, found.broken
    assert found.warnings == ()


def test_a_long_number_that_comes_twice_is_found(tmp_path):
    found = judged(tmp_path, [10**18 + n // 2 for n in range(20)])
    assert [check.name for check in found.broken] == ["unique key", "column account: unique"]
    assert "10 of 20 rows repeat an earlier value; first: row 1 (1000000000000000000)" in found.broken[1].why
