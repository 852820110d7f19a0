import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evergreen.data import write as write_module
from evergreen.data.frame import read_snapshot
from evergreen.data.load import take_snapshot, verify_digest
from evergreen.data.paths import changed_at, filesystem_of
from evergreen.data.snapshot import Fault
from evergreen.errors import DataError, IntegrityError, UnavailableError
from evergreen.spec.data import DataSpec

TYPES = {"x": "number", "c": "category", "at": "datetime", "y": "category"}
START = datetime(2025, 1, 1)
HOURS = st.integers(0, 24 * 60)


def parquet(folder: Path, frame: pd.DataFrame, rows_a_group: int = 1000) -> dict:
    path = folder / "table.parquet"
    pq.write_table(pa.Table.from_pandas(frame), path, row_group_size=rows_a_group)
    return {"kind": "parquet", "path": str(path)}


def table(hours: list[int]) -> pd.DataFrame:
    at = [START + timedelta(hours=h) for h in hours]
    numbers = np.arange(len(hours), dtype=float)
    return pd.DataFrame({"x": numbers, "c": [f"c{h % 5}" for h in hours], "at": at, "y": ["a"] * len(hours)})


@given(hours=st.lists(HOURS, min_size=1, max_size=40), now=HOURS, window=st.none() | HOURS, delay=st.integers(0, 500))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
def test_no_row_after_as_of_and_no_label_before_its_delay(tmp_path, hours, now, window, delay):
    as_of = START + timedelta(hours=now)
    since = None if window is None else as_of - timedelta(hours=window)
    expected = [h for h in hours if h <= now and (window is None or h > now - window)]
    spec = DataSpec.model_validate(
        {
            "source": parquet(tmp_path, table(hours), rows_a_group=7),
            "target": "y",
            "time_column": "at",
            "window": None if window is None else f"{window}h",
            "label_delay": f"{delay}h",
        }
    )
    if not expected:
        with pytest.raises(DataError, match="no row has at"):
            take_snapshot(spec, TYPES, as_of.replace(tzinfo=UTC), str(tmp_path / "out"))
        return
    snapshot = take_snapshot(spec, TYPES, as_of.replace(tzinfo=UTC), str(tmp_path / "out"))
    frame = read_snapshot(snapshot.path)
    assert snapshot.rows == len(frame) == len(expected)
    assert frame["at"].max() <= as_of
    assert since is None or frame["at"].min() > since
    known = frame["at"] <= as_of - timedelta(hours=delay)
    assert (frame["y"].notna() == known).all()
    assert snapshot.labelled == known.sum()
    assert snapshot.last_time == frame["at"].max().to_pydatetime().replace(tzinfo=UTC)


@given(cuts=st.lists(st.integers(1, 50), min_size=1, max_size=3), group=st.integers(3, 40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None)
def test_how_a_source_is_cut_leaves_no_trace(tmp_path, monkeypatch, cuts, group):
    monkeypatch.setattr(write_module, "ROW_GROUP", group)
    hours = list(range(100))
    hours[3], hours[50] = 90, 7
    digests = {
        take_snapshot(
            DataSpec.model_validate(
                {"source": parquet(tmp_path, table(hours), cut), "target": "y", "time_column": "at"}
            ),
            TYPES,
            datetime(2025, 1, 4, tzinfo=UTC),
            str(tmp_path / "out"),
        ).digest
        for cut in (*cuts, 100)
    }
    assert len(digests) == 1


def test_the_same_rows_from_another_source_are_the_same_snapshot(tmp_path, take):
    frame = table(list(range(50)))
    frame.to_csv(tmp_path / "table.csv", index=False)
    from_csv = take({"kind": "csv", "path": str(tmp_path / "table.csv")}, TYPES, time_column="at")
    assert take(parquet(tmp_path, frame), TYPES, time_column="at").digest == from_csv.digest


def test_the_same_data_twice_writes_nothing_and_makes_the_snapshot_young_again(tmp_path, take):
    source = parquet(tmp_path, table([1, 2, 3]))
    first = take(source, TYPES, time_column="at")
    os.utime(first.path, (1e9, 1e9))
    before = Path(first.path).stat()
    again = take(source, TYPES, as_of=first.as_of + timedelta(days=9), time_column="at")
    after = Path(first.path).stat()
    assert (again.path, again.digest) == (first.path, first.digest)
    assert before.st_ino == after.st_ino
    assert after.st_mtime > before.st_mtime, "it is not old any more, so that nobody prunes it"
    assert [p.name for p in Path(first.path).parent.iterdir()] == [f"{first.digest}.parquet"]


def test_two_runs_at_once_agree_on_one_file(tmp_path, take):
    source = parquet(tmp_path, table(list(range(500))))
    found: list[str] = []
    runs = [threading.Thread(target=lambda: found.append(take(source, TYPES).path)) for _ in range(4)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert len(found) == 4
    assert {Path(p) for p in found} == set(Path(found[0]).parent.iterdir())


def test_a_changed_row_is_another_snapshot(tmp_path, take):
    frame = table([1, 2, 3])
    first = take(parquet(tmp_path, frame), TYPES)
    second = take(parquet(tmp_path, frame.assign(x=[0.0, 1.0, 2.0000000001])), TYPES)
    assert first.digest != second.digest


def test_a_digest_finds_a_touched_file(tmp_path, take):
    snapshot = take(parquet(tmp_path, table([1])), TYPES)
    verify_digest(snapshot.path, snapshot.digest)
    content = bytearray(Path(snapshot.path).read_bytes())
    content[10] ^= 1
    Path(snapshot.path).write_bytes(bytes(content))
    with pytest.raises(IntegrityError, match="changed after it was written"):
        verify_digest(snapshot.path, snapshot.digest)
    Path(snapshot.path).unlink()
    with pytest.raises(IntegrityError, match="is gone"):
        verify_digest(snapshot.path, snapshot.digest)


def test_a_file_cut_short_by_a_power_failure_is_written_again(tmp_path, take):
    source = parquet(tmp_path, table([1, 2]))
    snapshot = take(source, TYPES)
    Path(snapshot.path).write_bytes(b"")
    verify_digest(take(source, TYPES).path, snapshot.digest)


@pytest.mark.parametrize("blow", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_load_leaves_no_file(tmp_path, take, monkeypatch, blow):
    def struck(*_: object) -> None:
        raise blow

    monkeypatch.setattr(write_module.SnapshotWriter, "_flush", struck)
    with pytest.raises(blow):
        take(parquet(tmp_path, table([1])), TYPES)
    assert list((tmp_path / "snapshots").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path, take):
    (tmp_path / "snapshots").write_text("a file")
    with pytest.raises(UnavailableError, match="snapshots cannot be written there"):
        take(parquet(tmp_path, table([1])), TYPES)


def test_snapshots_live_on_any_file_system(tmp_path):
    spec = DataSpec.model_validate({"source": parquet(tmp_path, table([1, 2])), "target": "y"})
    root, now = "memory://evergreen-snapshots", datetime(2025, 6, 1, tzinfo=UTC)
    first = take_snapshot(spec, TYPES, now, root)
    assert take_snapshot(spec, TYPES, now, root) == first
    assert first.path == f"{root}/{first.digest}.parquet"
    verify_digest(first.path, first.digest)
    assert len(read_snapshot(first.path)) == 2


def test_a_snapshot_of_storage_that_was_old_is_young_again(tmp_path):
    spec = DataSpec.model_validate({"source": parquet(tmp_path, table([1, 2, 3])), "target": "y"})
    root, now = "memory://evergreen-snapshots", datetime(2025, 6, 1, tzinfo=UTC)
    filesystem, name = filesystem_of(take_snapshot(spec, TYPES, now, root).path)
    filesystem.store[name].created = old = datetime.now(UTC) - timedelta(days=300)
    take_snapshot(spec, TYPES, now, root)
    assert changed_at(filesystem.info(name)) - old > timedelta(days=299)


def test_faults_are_counted_with_their_rows(write, take):
    path = write("x,c,at,y\n1,a,2025-01-01,p\nabc,a,2025-01-02,p\n inf,a,soon,p\n-inf,a,2025-01-03,p\n,a,,p\n")
    snapshot = take({"kind": "csv", "path": path}, TYPES, time_column="at")
    assert snapshot.rows == 3
    assert snapshot.faults == (
        Fault("at", "time", 2, ("row 3: 'soon'", "row 5: missing")),
        Fault("x", "type", 2, ("row 2: 'abc'", "row 4: '-inf'")),
    )


def test_rows_that_are_not_in_a_snapshot_do_not_change_it(write, take):
    types = {"x": "number", "at": "datetime", "y": "category"}
    rows = "bad,2025-05-20,p\n2,2025-05-21,q\n"
    others = ["", "1,2024-01-01,p\n", "1,soon,p\n", "1,,p\nbad,2020-01-01,p\n" * 9, "1,2026-01-01,p\n"]
    sources = [{"kind": "csv", "path": write("x,at,y\n" + other + rows, f"t{n}.csv")} for n, other in enumerate(others)]
    found = [take(source, types, time_column="at", window="30d") for source in sources]
    assert len({snapshot.digest for snapshot in found}) == 1
    assert [snapshot.rows_read for snapshot in found] == [2, 3, 3, 20, 3]
    assert [sum(f.count for f in s.faults if f.rule == "time") for s in found] == [0, 0, 1, 9, 0]
    assert (
        take({"kind": "csv", "path": write("x,at,y\n" + rows.replace("bad", "ill"))}, types).digest != found[0].digest
    )


def test_a_fault_shows_five_examples_and_counts_all(write, take):
    path = write("x,y\n" + "bad,p\n" * 40)
    (fault,) = take({"kind": "csv", "path": path}, {"x": "number", "y": "category"}).faults
    assert fault.count == 40
    assert fault.examples == tuple(f"row {n}: 'bad'" for n in range(1, 6))


def test_faults_of_rows_or_labels_from_the_future_are_not_seen(write, take):
    types = {"x": "number", "at": "datetime", "y": "number"}
    path = write("x,at,y\n1,2025-01-01,5\n1,2025-05-30,broken\nbroken,2025-07-01,5\n")
    snapshot = take({"kind": "csv", "path": path}, types, time_column="at", label_delay="30d")
    assert snapshot.faults == ()
    assert snapshot.labelled == 1


DAYS = {"at": "datetime", "due": "datetime", "y": "category"}


@pytest.mark.parametrize("kind", ["csv", "parquet", "duckdb"])
def test_days_come_first_where_the_source_declares_it(tmp_path, take, kind):
    days = [*["01/02/2025"] * 3, "31/01/2025"]
    frame = pd.DataFrame({"at": days, "due": days, "y": "p"})
    source = parquet(tmp_path, frame)
    if kind == "csv":
        frame.to_csv(tmp_path / "table.csv", index=False)
        source = {"kind": "csv", "path": str(tmp_path / "table.csv")}
    if kind == "duckdb":
        source = {"kind": "duckdb", "query": "SELECT * FROM t", "tables": {"t": source["path"]}}
    snapshot = take({**source, "day_first": True}, DAYS, time_column="at")
    expected = [pd.Timestamp(2025, 2, 1)] * 3 + [pd.Timestamp(2025, 1, 31)]
    assert read_snapshot(snapshot.path)["due"].tolist() == read_snapshot(snapshot.path)["at"].tolist() == expected


def test_a_date_in_the_other_order_is_a_fault_that_says_what_to_declare(write, take):
    source = {"kind": "csv", "path": write("at,due,y\n01/31/2025,31/01/2025,p\n31/01/2025,01/02/2025,p\n")}
    snapshot = take(source, DAYS, time_column="at")
    assert [(f.column, f.rule, f.count) for f in snapshot.faults] == [("at", "time", 1), ("due", "type", 1)]
    assert all("declare day_first: true" in fault.hint for fault in snapshot.faults)
    swapped = take({**source, "day_first": True}, DAYS, time_column="at")
    assert [f.hint for f in swapped.faults] == ["some have their month first, and the source declares day_first: true"]


def test_a_time_column_of_days_first_alone_says_what_to_declare(write, take):
    with pytest.raises(DataError, match=r"row 1: '31/01/2025'; some have their day first: declare day_first: true"):
        take({"kind": "csv", "path": write("at,due,y\n31/01/2025,,p\n")}, DAYS, time_column="at")


def test_no_row_in_the_period_says_what_the_table_holds(tmp_path, take):
    with pytest.raises(DataError, match=r"reach from 2025-01-01 01:00 to 2025-01-01 05:00 UTC"):
        take(parquet(tmp_path, table([1, 5])), TYPES, as_of=datetime(2024, 1, 1, tzinfo=UTC), time_column="at")


def test_a_time_column_that_holds_no_time_says_so(write, take):
    path = write("at,y\n1738281600,p\n")
    with pytest.raises(DataError, match=r"no value of the time column 'at'.*1738281600"):
        take({"kind": "csv", "path": path}, {"at": "datetime", "y": "category"}, time_column="at")


def test_a_moment_without_a_zone_is_refused(tmp_path, take):
    with pytest.raises(ValueError, match="no zone"):
        take(parquet(tmp_path, table([1])), TYPES, as_of=START)


def test_a_moment_in_another_zone_is_the_same_moment(tmp_path, take):
    source = parquet(tmp_path, table([1, 2, 3]))
    tokyo = datetime(2025, 1, 1, 11, tzinfo=UTC).astimezone(tz=None)
    utc = take(source, TYPES, as_of=datetime(2025, 1, 1, 2, tzinfo=UTC), time_column="at")
    assert utc.rows == 2
    assert take(source, TYPES, as_of=tokyo, time_column="at").as_of == datetime(2025, 1, 1, 11, tzinfo=UTC)
