"""A snapshot in chunks is the snapshot, however it is cut; one of what waits for its label holds nothing else."""

from datetime import UTC, datetime

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.data.chunks import read_chunks
from evergreen.data.frame import read_snapshot
from evergreen.data.load import take_snapshot
from evergreen.errors import DataError
from evergreen.spec.data import DataSpec

TYPES = {"n": "integer", "plan": "category", "at": "datetime", "y": "number"}
AS_OF = datetime(2026, 1, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def table():
    rows = 50
    return pd.DataFrame(
        {
            "n": range(rows),
            "plan": [("basic", "plus", None)[n % 3] for n in range(rows)],
            "at": pd.Timestamp("2026-01-01") + pd.to_timedelta(range(0, 12 * rows, 12), unit="h"),
            "y": [None if n % 10 == 0 else n / 2 for n in range(rows)],
        }
    )


@pytest.fixture(scope="module")
def source(table, tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "table.csv"
    table.to_csv(path, index=False)
    return {"kind": "csv", "path": str(path)}


@pytest.fixture(scope="module")
def snapshot(source, tmp_path_factory):
    # Several row groups, as a large table has them.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("evergreen.data.write.ROW_GROUP", 8)
        root = str(tmp_path_factory.mktemp("snapshots"))
        return take_snapshot(DataSpec(source=source, target="y"), TYPES, AS_OF, root)


@settings(deadline=None)
@given(rows=st.integers(1, 60), first=st.integers(0, 55))
def test_chunks_put_together_are_what_is_left(snapshot, table, rows, first):
    chunks = list(read_chunks(snapshot.path, ["plan", "n"], rows, first))
    assert [n for chunk in chunks for n in chunk["n"].to_pylist()] == list(range(first, 50))
    assert all(chunk.num_rows == rows for chunk in chunks[:-1])
    plans = [plan for chunk in chunks for plan in chunk["plan"].to_pylist()]
    assert plans == [None if pd.isna(plan) else plan for plan in table["plan"][first:]]


@pytest.mark.parametrize(
    ("time_column", "delay", "expected"),
    [
        (None, "0d", [0, 10, 20, 30, 40]),
        ("at", "0d", [0, 10, 20, 30]),
        ("at", "5d", [0, 10, 20, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38]),
    ],
)
def test_a_row_waits_for_its_label_where_it_has_none_or_is_too_young(source, tmp_path, time_column, delay, expected):
    data = DataSpec(source=source, target="y", time_column=time_column, label_delay=delay)
    snapshot = take_snapshot(data, TYPES, AS_OF, str(tmp_path), unlabelled=True)
    frame = read_snapshot(snapshot.path)
    assert frame["n"].tolist() == expected
    assert list(frame) == ["n", "plan", "at"]
    assert (snapshot.rows, snapshot.labelled) == (len(expected), 0)


def test_a_target_that_is_not_named_is_not_read(source, table, tmp_path):
    path = tmp_path / "raw.csv"
    table.drop(columns="y").to_csv(path, index=False)
    data = DataSpec(source={"kind": "csv", "path": str(path)}, target="y")
    snapshot = take_snapshot(data, {"n": "integer"}, AS_OF, str(tmp_path))
    assert (snapshot.rows, snapshot.labelled, list(read_snapshot(snapshot.path))) == (50, 0, ["n"])


def test_where_every_label_is_known_nothing_waits(table, tmp_path):
    path = tmp_path / "full.csv"
    table.assign(y=1).to_csv(path, index=False)
    data = DataSpec(source={"kind": "csv", "path": str(path)}, target="y")
    with pytest.raises(DataError, match="each of its 50 rows has a label"):
        take_snapshot(data, TYPES, AS_OF, str(tmp_path / "snapshots"), unlabelled=True)
    assert list((tmp_path / "snapshots").iterdir()) == []
