import socket
import sqlite3
import subprocess
import sys
import traceback
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

import evergreen.store
from evergreen.address import with_driver
from evergreen.errors import EvergreenError, IntegrityError, RowError, UnavailableError, UserError
from evergreen.gate.decision import DecisionKind, Reason
from evergreen.store import database
from evergreen.store.entry import LedgerEntry
from evergreen.store.ledger import Ledger
from evergreen.store.tables import HEAD, VERSION_TABLE, metadata

NOW = datetime(2026, 3, 2, tzinfo=UTC)
ENTRY = LedgerEntry("churn", DecisionKind.REJECT, ("worse",), (), Reason.MANUAL, NOW, NOW, "anna")
MIGRATIONS = Path(evergreen.store.__path__[0]) / "migrations"


def test_preparing_twice_changes_nothing(ledger):
    written = ledger.record(ENTRY)
    ledger.prepare()
    assert ledger.entries("churn") == (written,)


def test_four_processes_that_prepare_at_once_leave_a_good_store(store_url):
    code = "import sys; from evergreen.store.ledger import Ledger; Ledger(sys.argv[1]).prepare()"
    started = [
        subprocess.Popen([sys.executable, "-c", code, store_url], stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    errors = [process.communicate(timeout=60)[1] for process in started]
    assert [process.returncode for process in started] == [0] * 4, errors
    assert Ledger(store_url).record(ENTRY).id == 1


def test_the_migrations_build_the_tables_that_queries_see(ledger):
    engine = sa.create_engine(with_driver(ledger.url), poolclass=sa.NullPool)
    with engine.connect() as connection:
        inspector = sa.inspect(connection)
        built = {table: {c["name"] for c in inspector.get_columns(table)} for table in inspector.get_table_names()}
        indexes = {index["name"] for table in metadata.tables for index in inspector.get_indexes(table)}
    assert built.pop(VERSION_TABLE) == {"version_num"}
    assert built == {name: set(table.columns.keys()) for name, table in metadata.tables.items()}
    assert indexes >= {str(index.name) for table in metadata.tables.values() for index in table.indexes}


def test_the_newest_migration_is_the_one_that_stores_are_brought_to():
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == HEAD


def test_a_migration_that_fails_half_way_leaves_nothing_behind(store_url, monkeypatch):
    monkeypatch.setattr(database, "_migrate", half_a_migration)
    with pytest.raises(EvergreenError):
        Ledger(store_url).prepare()
    monkeypatch.undo()
    Ledger(store_url).prepare()
    assert Ledger(store_url).record(ENTRY).id == 1


def half_a_migration(connection: sa.Connection, url: str) -> None:
    connection.execute(sa.text("CREATE TABLE decisions (id INTEGER)"))
    connection.execute(sa.text("CREATE TABLE this is no SQL"))


def test_a_store_that_is_not_prepared_is_no_empty_store(tmp_path):
    with pytest.raises(IntegrityError, match="not a prepared store"):
        Ledger(f"sqlite:///{tmp_path / 'evergreen.db'}").entries("churn")


@pytest.mark.parametrize("content", [b"order_id;price\n1;2\n" * 400, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_file_that_is_no_database_is_named(tmp_path, content):
    file = tmp_path / "evergreen.db"
    file.write_bytes(content)
    with pytest.raises(
        (IntegrityError, UnavailableError), match=r"evergreen\.db: not a store of Evergreen, or damaged"
    ):
        Ledger(f"sqlite:///{file}").prepare()
    assert file.read_bytes() == content


def test_a_foreign_database_with_a_table_of_that_name_is_left_alone(tmp_path):
    file = tmp_path / "other.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE decisions (court TEXT)")
    with pytest.raises(IntegrityError, match=r"other\.db: not a store of Evergreen"):
        Ledger(f"sqlite:///{file}").prepare()
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("decisions",)]


def test_a_store_of_a_newer_version_is_not_touched(ledger):
    engine = sa.create_engine(with_driver(ledger.url), poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(IntegrityError, match="another version of Evergreen"):
        Ledger(ledger.url).prepare()


def test_a_locked_database_is_unavailable(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "WAIT_SECONDS", 0)
    ledger = Ledger(f"sqlite:///{tmp_path / 'evergreen.db'}")
    ledger.prepare()
    with closing(sqlite3.connect(tmp_path / "evergreen.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UnavailableError, match="locked by another process"):
            ledger.record(ENTRY)


def test_a_server_on_which_another_writer_hangs_is_unavailable(cluster, monkeypatch):
    monkeypatch.setattr(database, "WAIT_SECONDS", 1)
    ledger = Ledger(cluster.create_database())
    ledger.prepare()
    engine = sa.create_engine(with_driver(ledger.url), poolclass=sa.NullPool)
    with engine.begin() as other:
        other.execute(sa.text("SELECT * FROM chain_heads FOR UPDATE"))
        with pytest.raises(UnavailableError, match="locked by another process"):
            ledger.record(ENTRY)
    assert ledger.record(ENTRY).id == 1


def test_a_database_server_that_is_down_is_unavailable_and_its_password_stays_secret():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        url = f"postgresql://eva:s3cret@127.0.0.1:{taken.getsockname()[1]}/evergreen"
        with pytest.raises(UnavailableError, match=r"eva:\*\*\*@127") as caught:
            Ledger(url).twin("churn", "k1")
    assert "s3cret" not in str(caught.value)


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError, match="cannot be"):
        Ledger(f"sqlite:///{tmp_path / 'file' / 'evergreen.db'}").prepare()


@pytest.mark.parametrize("url", ["evergreen.db", "mysql+pymysql://db/evergreen", "oracle://db/evergreen", ""])
def test_an_address_that_is_no_store_is_a_mistake_of_the_user(url):
    with pytest.raises(UserError):
        Ledger(url).prepare()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://eva:zebra/77@db/evergreen",  # the driver takes "zebra" for a port
        "postgresql://eva:zebra77@db:fivefourthreetwo/evergreen",
        "postgresql//eva:zebra77@db",
        "postgresql://eva:zebra77@db:99999999/evergreen",
    ],
)
def test_an_address_that_cannot_be_read_is_refused_and_nothing_of_its_password_shown(url):
    with pytest.raises(EvergreenError) as caught:
        Ledger(url).prepare()
    told = "".join(traceback.format_exception(caught.value))
    assert "***@db" in told
    assert "zebra" not in told


def test_the_trace_of_a_server_that_is_down_holds_no_password():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"postgresql://127.0.0.1:{taken.getsockname()[1]}/evergreen?user=eva&password=zebra77"
        with pytest.raises(UnavailableError) as caught:
            Ledger(url).prepare()
    assert "zebra77" not in "".join(traceback.format_exception(caught.value))


def test_building_a_ledger_opens_nothing(tmp_path):
    Ledger(f"sqlite:///{tmp_path / 'evergreen.db'}")
    assert list(tmp_path.iterdir()) == []


def thrown(error: Exception) -> Exception:
    """What becomes of what PostgreSQL's driver raises."""
    import psycopg

    with pytest.raises(EvergreenError) as raised, database.answering("postgresql://host/store"):
        raise sa.exc.DBAPIError.instance(None, None, error, psycopg.Error)
    return raised.value


@pytest.mark.parametrize("name", ["ReadOnlySqlTransaction", "InsufficientPrivilege"])
def test_a_store_that_takes_no_writes_is_not_damaged_but_unavailable(name):
    import psycopg

    found = thrown(getattr(psycopg.errors, name)("cannot execute INSERT"))
    assert isinstance(found, UnavailableError)
    assert "takes no writes (cannot execute INSERT)" in str(found)


@pytest.mark.parametrize("name", ["CheckViolation", "NumericValueOutOfRange"])
def test_a_row_that_is_refused_is_told_apart_from_a_store_that_is_damaged(name):
    import psycopg

    assert isinstance(thrown(getattr(psycopg.errors, name)("refused")), RowError)
    assert not isinstance(thrown(psycopg.errors.UndefinedTable("no such relation")), RowError)
