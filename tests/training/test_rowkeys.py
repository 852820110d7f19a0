"""Keys of rows whose names are numbers too long for a float64."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from evergreen.data.load import take_snapshot
from evergreen.spec.data import DataSpec
from evergreen.training.rowkeys import Keys, content_keys, named_keys

LONG = [10**17 + n for n in range(100)]


@pytest.fixture
def keys(tmp_path: Path) -> Callable[..., tuple[Keys, Keys]]:
    def keys(numbers: list[int | None]) -> tuple[Keys, Keys]:
        path = tmp_path / "t.parquet"
        pd.DataFrame({"id": pd.array(numbers, "Int64"), "y": "a"}).to_parquet(path)
        data = DataSpec.model_validate({"source": {"kind": "parquet", "path": str(path)}, "target": "y"})
        types = {"id": "integer", "y": "category"}
        snapshot = take_snapshot(data, types, datetime(2026, 1, 1, tzinfo=UTC), str(tmp_path / "snapshots"))
        return named_keys(snapshot.path, "id"), content_keys(snapshot.path)

    return keys


def test_long_numbers_that_a_float_takes_for_one_name_different_rows(keys):
    names, contents = keys([*LONG, 5, None, LONG[0]])
    assert len(set(names)) == len(set(contents)) == 102
    assert names[0] == names[-1]


def test_the_key_of_a_short_number_is_the_same_beside_long_ones(keys):
    assert keys([5, 6])[0][0] == keys([5, *LONG])[0][0]
