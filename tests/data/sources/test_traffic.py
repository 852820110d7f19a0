"""Labelled traffic as rows of a table: after the table's newest row, each once, whole, and out of quarantine."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evergreen.data.frame import read_snapshot
from evergreen.data.load import take_snapshot
from evergreen.data.snapshot import TrafficRows
from evergreen.data.traffic import Piece, TrafficReader
from evergreen.errors import DataError
from evergreen.spec.data import DataSpec

NOW = datetime(2026, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TYPES = {"x": "number", "id": "text", "at": "datetime", "y": "category"}
ALONE: dict[str, Any] = {"kind": "traffic"}


def piece(rows: list[dict[str, Any]], fields: tuple[str, ...] = ("x",)) -> Piece:
    """Rows as serving keeps them, `days` before NOW."""
    at = [NOW - row["days"] * DAY for row in rows]
    return Piece(
        pa.table({name: [row.get(name) for row in rows] for name in fields}),
        pa.array([row.get("id") for row in rows], pa.string()),
        pa.chunked_array([pa.array(at, pa.timestamp("us", "UTC"))]),
        pa.array([row.get("y", "no") for row in rows]),
        pa.array([row.get("complete", True) for row in rows]),
        pa.array([row.get("broken", False) for row in rows]),
    )


def take(tmp_path, pieces: list[Piece], source=ALONE, inputs=("x",), unique=False, as_of=NOW, types=TYPES, **data):
    spec = DataSpec.model_validate({"source": source, "target": "y", "time_column": "at", "id_column": "id", **data})
    asked: list[Any] = []

    def read(columns, as_of, since):
        asked.append((list(columns), as_of, since))
        return iter(pieces)

    reader = TrafficReader("traffic of churn", read, inputs, unique)
    snapshot = take_snapshot(spec, types, as_of, str(tmp_path / "snapshots"), traffic=reader)
    return snapshot, read_snapshot(snapshot.path), asked


def base(tmp_path, rows: str) -> dict[str, Any]:
    (tmp_path / "table.csv").write_text(f"at,x,id,y\n{rows}")
    return {**ALONE, "base": {"kind": "csv", "path": str(tmp_path / "table.csv")}}


def test_a_row_is_what_was_served_named_and_dated_by_its_request(tmp_path):
    snapshot, frame, asked = take(tmp_path, [piece([{"days": 2, "x": 1.5, "id": "c7", "y": "yes"}])])
    assert frame.to_dict("records") == [{"x": 1.5, "id": "c7", "at": pd.Timestamp("2026-04-29"), "y": "yes"}]
    assert asked == [(["x"], NOW, None)]
    assert (snapshot.labelled, snapshot.traffic) == (1, TrafficRows(1))


def test_a_field_that_requests_carry_wins_over_what_the_request_says_of_itself(tmp_path):
    rows = [{"days": 2, "at": "2026-04-01T00:00:00Z", "id": "of the row"}, {"days": 3, "at": None, "id": "of the row"}]
    inputs = ("x", "at", "id")
    _, frame, asked = take(tmp_path, [piece(rows, inputs)], inputs=inputs, window="60d")
    assert frame["at"].tolist() == [pd.Timestamp("2026-04-01"), pd.Timestamp("2026-04-28")]
    # A row may be older, or of a later day, than its request: all of them are asked for.
    assert asked[0][2] is None


def test_no_row_has_a_label_that_is_younger_than_its_delay(tmp_path):
    rows = [{"days": days, "x": days} for days in (1, 6.9, 7, 8)]
    _, frame, _ = take(tmp_path, [piece(rows)], label_delay="7d")
    assert frame["x"].tolist() == [7, 8]


@given(
    days=st.lists(st.floats(-3, 60), max_size=12),
    delay=st.integers(0, 30),
    window=st.none() | st.integers(1, 60),
    newest=st.integers(0, 40),
    carried=st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
def test_traffic_is_newer_than_its_table_and_older_than_its_label_delay(tmp_path, days, delay, window, newest, carried):
    end = NOW - newest * DAY
    source = base(tmp_path, f"{end:%Y-%m-%d},1,a,no\n")
    rows = [{"days": max(day, 0), "x": day, "at": (NOW - day * DAY).isoformat()} for day in days]
    fields = ("x", "at") if carried else ("x",)
    options = {"label_delay": f"{delay}d", **({} if window is None else {"window": f"{window}d"})}
    happened = [day if carried else max(day, 0) for day in days]
    since = 1000 if window is None else window
    visible = end > NOW - since * DAY
    expected = [day for day in happened if delay <= day < since and (day < newest or not visible)]
    if not visible and not expected:
        with pytest.raises(DataError, match="no row has at at or before"):
            take(tmp_path, [piece(rows, fields)], source, fields, **options)
        return
    frame = take(tmp_path, [piece(rows, fields)], source, fields, **options)[1]
    took = frame["at"][frame["id"] != "a"].dt.tz_localize("UTC")
    assert len(took) == len(expected)
    assert all(took <= NOW - delay * DAY)


def test_after_a_table_comes_the_traffic_that_is_newer_than_its_newest_row(tmp_path):
    source = base(tmp_path, "2026-04-20,1,a,no\n2026-04-25,2,b,\n2026-06-01,9,later,no\n")
    newer = piece([{"days": days, "x": 10 + days} for days in (10, 6, 5.5, 3)])
    snapshot, frame, asked = take(tmp_path, [newer], source)
    assert frame["x"].tolist() == [1, 2, 15.5, 13]
    assert asked[0][2] == datetime(2026, 4, 25, tzinfo=UTC)
    assert snapshot.traffic == TrafficRows(2)
    assert snapshot.labelled == 3


def test_the_window_ends_traffic_as_it_ends_a_table(tmp_path):
    rows = [{"days": days, "x": days} for days in (31, 30, 29)]
    _, frame, asked = take(tmp_path, [piece(rows)], window="30d")
    assert frame["x"].tolist() == [29]
    assert asked[0][2] == NOW - 30 * DAY


def test_where_an_id_names_a_row_once_the_first_row_with_it_stays(tmp_path):
    source = base(tmp_path, "2026-04-20,1,a,no\n2026-04-21,2,,no\n")
    first = piece([{"days": 5, "id": "a", "x": 10}, {"days": 5, "id": "b", "x": 11}, {"days": 4, "id": "b", "x": 12}])
    then = piece([{"days": 3, "id": "b", "x": 13}, {"days": 3, "x": 14}, {"days": 3, "x": 15}])
    assert take(tmp_path, [first, then], source, unique=True)[1]["x"].tolist() == [1, 2, 11, 14, 15]
    assert len(take(tmp_path, [first, then], source)[1]) == 8


def test_what_is_in_quarantine_or_incomplete_is_left_out_and_counted(tmp_path):
    rows = [{"days": 3, "x": 1}, {"days": 3, "x": 2, "broken": True}, {"days": 3, "complete": False, "broken": True}]
    snapshot, frame, _ = take(tmp_path, [piece(rows)])
    assert frame["x"].tolist() == [1]
    assert snapshot.traffic == TrafficRows(1, quarantined=1, incomplete=1)


def test_without_a_label_the_message_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match=r"no captured prediction .* mature as of 2026-05-01 .*1 are in quar.*base"):
        take(tmp_path, [piece([{"days": 3, "broken": True}])])


def test_a_table_without_traffic_is_the_table(tmp_path):
    source = base(tmp_path, "2026-04-20,1,a,no\n")
    assert take(tmp_path, [], source)[0].digest == take(tmp_path, [], source["base"])[0].digest


def test_how_traffic_comes_in_pieces_leaves_no_trace(tmp_path):
    rows = [{"days": days, "x": days, "id": str(days)} for days in range(1, 9)]
    whole = take(tmp_path, [piece(rows)])[0]
    assert take(tmp_path, [piece(rows[:3]), piece([]), piece(rows[3:])])[0].digest == whole.digest


def test_a_column_that_no_request_carries_is_an_error(tmp_path):
    types = {**TYPES, "beside": "number"}
    with pytest.raises(DataError, match="no request carries the column 'beside'"):
        take(tmp_path, [piece([{"days": 3}])], types=types)


def test_a_table_without_times_is_followed_by_all_traffic(tmp_path):
    types = {name: kind for name, kind in TYPES.items() if name != "at"}
    source = base(tmp_path, "2026-04-20,1,a,no\n")
    _, frame, _ = take(tmp_path, [piece([{"days": 90, "x": 2}])], source, types=types, time_column=None)
    assert frame["x"].tolist() == [1, 2]


def test_there_is_nothing_to_score_in_traffic_but_in_its_table(tmp_path):
    reader = TrafficReader("traffic of churn", lambda *_: iter([piece([{"days": 3}])]), ("x",))
    for source, expected in ((base(tmp_path, "2026-04-20,1,a,\n"), 1), (ALONE, None)):
        spec = DataSpec.model_validate({"source": source, "target": "y"})
        options: dict[str, Any] = {"unlabelled": True, "traffic": reader}
        if expected:
            assert take_snapshot(spec, {"x": "number", "y": "category"}, NOW, str(tmp_path), **options).rows == expected
        else:
            with pytest.raises(DataError, match="each of its rows was answered"):
                take_snapshot(spec, {"x": "number", "y": "category"}, NOW, str(tmp_path), **options)
