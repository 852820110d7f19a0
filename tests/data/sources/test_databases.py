import gzip
import sqlite3
import zipfile
from datetime import UTC, datetime

import duckdb
import pandas as pd
import pytest

from evergreen.data.frame import read_snapshot
from evergreen.errors import DataError, UnavailableError

TYPES = {"x": "number", "at": "datetime", "y": "category"}
ROWS = [(1.5, "2025-01-01 00:00:00", "p"), (None, "2025-02-01 00:00:00", None), (3, "2025-08-01 00:00:00", "q")]
NOW = datetime(2025, 6, 1, tzinfo=UTC)


@pytest.fixture
def sqlite(tmp_path):
    path = tmp_path / "sales.db"
    with sqlite3.connect(path) as database:
        database.execute("create table sales (x, at text, y text)")
        database.executemany("insert into sales values (?, ?, ?)", ROWS)
    database.close()
    return f"sqlite:///{path}"


def test_a_query_is_streamed_from_any_database(sqlite, take):
    snapshot = take({"kind": "sql", "url": sqlite, "query": "select * from sales order by at"}, TYPES, time_column="at")
    frame = read_snapshot(snapshot.path)
    assert frame["x"].fillna(-1).tolist() == [1.5, -1]
    assert frame["at"].tolist() == [pd.Timestamp(2025, 1, 1), pd.Timestamp(2025, 2, 1)]


def test_many_rows_arrive_in_their_order(sqlite, take, tmp_path):
    query = "with recursive n(x) as (select 1 union all select x + 1 from n where x < 40000) select x, 'p' as y from n"
    snapshot = take({"kind": "sql", "url": sqlite, "query": query}, {"x": "integer", "y": "category"})
    assert read_snapshot(snapshot.path)["x"].tolist() == list(range(1, 40001))


def test_the_moment_and_the_window_are_bound_where_a_query_asks(sqlite, take):
    query = "select x, :as_of as at, cast(:since as text) as y from sales limit 1"
    snapshot = take({"kind": "sql", "url": sqlite, "query": query}, TYPES, time_column="at", window="31d")
    frame = read_snapshot(snapshot.path)
    assert frame["at"].tolist() == [pd.Timestamp(2025, 6, 1)]
    assert frame["y"].iloc[0].startswith("2025-05-01 00:00:00")


def test_a_column_of_mixed_types_is_read_value_by_value(sqlite, take):
    with sqlite3.connect(sqlite.removeprefix("sqlite:///")) as database:
        database.execute("insert into sales values ('many', '2025-01-05', 'p')")
    database.close()
    snapshot = take({"kind": "sql", "url": sqlite, "query": "select * from sales"}, TYPES)
    assert [(f.column, f.count) for f in snapshot.faults] == [("x", 1)]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("select * from orders", "no such table: orders"),
        ("selekt", "syntax error"),
        ("select x, at from sales", "has no column 'y'"),
        ("select x, at, y, y from sales", "column 'y' stands twice"),
        ("select x, at, y from sales where at > :until", "the query uses :until; there are only :as_of and :since"),
        ("select x, at, y from sales where false", "holds no rows"),
    ],
)
def test_a_query_that_cannot_work_is_the_users(sqlite, take, query, message):
    with pytest.raises(DataError, match=message):
        take({"kind": "sql", "url": sqlite, "query": query}, TYPES)


def test_a_url_is_read_from_the_environment_and_its_password_never_shown(take, monkeypatch, tmp_path):
    source = {"kind": "sql", "url_env": "SALES_URL", "query": "select 1"}
    monkeypatch.delenv("SALES_URL", raising=False)
    with pytest.raises(DataError, match=r"SALES_URL .* is not set"):
        take(source, TYPES)
    monkeypatch.setenv("SALES_URL", "no url with s3cret")
    with pytest.raises(DataError, match="SALES_URL is no database URL") as error:
        take(source, TYPES)
    assert "s3cret" not in str(error.value)
    monkeypatch.setenv("SALES_URL", "postgresql+psycopg://me:s3cret@127.0.0.1:1/sales?connect_timeout=2")
    with pytest.raises((DataError, UnavailableError)) as refused:
        take(source, TYPES)
    assert "s3cret" not in str(refused.value)


def test_a_database_that_is_not_there_is_neither_made_nor_called_empty(take, tmp_path):
    path = tmp_path / "none.db"
    with pytest.raises(DataError, match="there is no such file"):
        take({"kind": "sql", "url": f"sqlite:///{path}", "query": "select 1"}, TYPES)
    assert not path.exists()


def test_a_locked_database_is_unavailable(sqlite, take):
    holder = sqlite3.connect(sqlite.removeprefix("sqlite:///"))
    holder.execute("begin exclusive")
    try:
        with pytest.raises(UnavailableError, match="locked"):
            take({"kind": "sql", "url": f"{sqlite}?timeout=0.1", "query": "select * from sales"}, TYPES)
    finally:
        holder.close()


@pytest.fixture
def files(write, tmp_path):
    pd.DataFrame({"k": ["a", "b"], "x": [1.0, 2.0]}).to_parquet(tmp_path / "prices.parquet")
    return {
        "sales": write("k,at,y\na,2025-01-01T00:00:00Z,p\nb,NA,q\na,2025-08-01T00:00:00Z,p\n", "sales.csv"),
        "prices": str(tmp_path / "prices.parquet"),
    }


def test_duckdb_joins_files(files, take):
    query = 'select x, "at", y from sales join prices using (k) order by "at" nulls last'
    snapshot = take({"kind": "duckdb", "query": query, "tables": files}, TYPES)
    frame = read_snapshot(snapshot.path)
    assert frame["x"].tolist() == [1.0, 1.0, 2.0]
    assert frame["at"].tolist()[:2] == [pd.Timestamp(2025, 1, 1), pd.Timestamp(2025, 8, 1)]
    assert frame["at"].isna().tolist() == [False, False, True]


def test_duckdb_binds_the_moment_and_the_window(files, take):
    query = "select 1 as x, $as_of as 'at', $since::varchar as y"
    frame = read_snapshot(take({"kind": "duckdb", "query": query}, TYPES, time_column="at", window="31d").path)
    assert (frame["at"].iloc[0], frame["y"].iloc[0]) == (pd.Timestamp(2025, 6, 1), "2025-05-01 00:00:00")


def test_duckdb_casts_times_to_utc_wherever_it_runs(take, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    query = "select 1 as x, timestamptz '2025-01-01 00:00:00+00'::timestamp as 'at', 'p' as y"
    frame = read_snapshot(take({"kind": "duckdb", "query": query}, TYPES).path)
    assert frame["at"].tolist() == [pd.Timestamp(2025, 1, 1)]


def test_duckdb_reads_a_database_without_writing_to_it(tmp_path, take, files):
    path = tmp_path / "sales.duckdb"
    with duckdb.connect(str(path)) as database:
        database.execute("create table orders as select 'a' as k, timestamp '2025-01-01' as at, 'p' as y")
    query_file = tmp_path / "query.sql"
    query_file.write_text("select * from orders join prices using (k)")
    source = {"kind": "duckdb", "query_file": str(query_file), "database": str(path), "tables": files}
    assert take(source, TYPES).rows == 1
    with pytest.raises(DataError, match="read-only"):
        take({"kind": "duckdb", "query": "insert into orders values ('b', null, 'q')", "database": str(path)}, TYPES)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("select * from orders", "orders does not exist"),
        ("selekt", "syntax error"),
        ("select 1; select 2", "holds 2 statements"),
        ("select * from sales join prices using (k) where x < $until", r"\$until; there are only"),
        ("select * exclude (y) from sales join prices using (k)", "has no column 'y'"),
    ],
)
def test_a_duckdb_query_that_cannot_work_is_the_users(files, take, query, message):
    with pytest.raises(DataError, match=message):
        take({"kind": "duckdb", "query": query, "tables": files}, TYPES)


def test_duckdb_names_a_file_or_database_that_is_not_there(take, tmp_path, write):
    with pytest.raises(DataError, match=r"none\.csv: there is no such file"):
        take({"kind": "duckdb", "query": "select 1", "tables": {"t": str(tmp_path / "none.csv")}}, TYPES)
    with pytest.raises(DataError, match="there is no such file"):
        take({"kind": "duckdb", "query": "select 1", "database": str(tmp_path / "none.db")}, TYPES)
    with pytest.raises((DataError, UnavailableError), match=r"text\.db"):
        take({"kind": "duckdb", "query": "select 1", "database": write("no database" * 500, "text.db")}, TYPES)


@pytest.mark.parametrize("suffix", ["zip", "gz"])
def test_a_damaged_archive_of_duckdb_is_named(take, tmp_path, suffix):
    path = tmp_path / f"t.csv.{suffix}"
    rows = "x,at,y\n" + "".join(f"{i * i % 7919},2025-01-01,p\n" for i in range(90_000))
    if suffix == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("t.csv", rows)
    else:
        path.write_bytes(gzip.compress(rows.encode()))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    source = {"kind": "duckdb", "query": "select * from t", "tables": {"t": str(path)}}
    with pytest.raises(DataError, match=r"cannot be unpacked|cannot be read as table|the query fails"):
        take(source, TYPES)
