"""The store's database: opened late, migrated under a lock, its failures in our words."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from evergreen.address import printable, redacted, scrubbed, sqlite_file, with_driver
from evergreen.errors import IntegrityError, RowError, UnavailableError, UserError
from evergreen.store.lock import exclusive
from evergreen.store.tables import HEAD, VERSION_TABLE

WAIT_SECONDS = 10
# A server that vanished without a word is noticed within a minute, in the middle of a statement too.
_SERVER_OPTIONS = {
    "connect_timeout": 5,
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
# PostgreSQL's states for a transaction that may only read, and for a grant that is missing.
_NO_WRITES = ("25006", "42501")
_MIGRATION_LOCK = 0x45564752  # one number for every process that migrates this database


def open_engine(url: str) -> sa.Engine:
    """An engine without a pool, so that it may cross forks and leaves no connection behind. Touches nothing yet."""
    try:
        parsed = sa.make_url(with_driver(url))
        options = {"timeout": WAIT_SECONDS} if parsed.get_backend_name() == "sqlite" else _SERVER_OPTIONS
        engine = sa.create_engine(parsed, poolclass=sa.NullPool, connect_args=options)
    except (exc.ArgumentError, ValueError):
        # Either may quote what it took for a port, which is a part of the password where that holds a slash.
        message = f"EVERGREEN_STORE_URL: {redacted(url)!r} is no database URL"
        raise UserError(f"{message}; write postgresql://user:password@host:5432/database, or sqlite:///file") from None
    except ModuleNotFoundError as error:
        message = f"{redacted(url)}: the driver {error.name} is not installed; pip install 'evergreen[postgres]'"
        raise UserError(message) from printable(error, url)
    if engine.dialect.name not in ("sqlite", "postgresql"):
        raise UserError(f"{redacted(url)}: the store runs on SQLite and PostgreSQL, not on {engine.dialect.name}")
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _configure_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


@contextmanager
def answering(url: str) -> Iterator[None]:
    """Turn what the database throws into our errors: unreachable, locked or not to be written, not prepared, damaged,
    and RowError for a value that it refuses.
    """
    try:
        yield
    except exc.OperationalError as error:
        raise _explained(url, error) from printable(error, url)
    except (exc.DataError, exc.IntegrityError) as error:
        raise RowError(f"{redacted(url)}: refused ({_first_line(url, error)})") from printable(error, url)
    except exc.DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) in _NO_WRITES:
            reason = _first_line(url, error)
            message = f"{redacted(url)}: the store takes no writes ({reason}); check its role and the user's grants"
            raise UnavailableError(message) from printable(error, url)
        raise _damaged(url, error) from printable(error, url)
    except exc.StatementError as error:
        # A value that a column type refused: our caller's mistake, in its own words.
        raise error.orig or error from error


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that writes; on SQLite one at a time, so that nobody writes between its reading and its writing."""
    with engine.execution_options(evergreen_writes=True).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text(f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'"))
        yield connection


def upsert(connection: sa.Connection, table: sa.Table) -> Any:
    """An INSERT that can say what to do on a conflict, which SQLAlchemy has for each database apart."""
    from sqlalchemy.dialects import postgresql, sqlite

    return (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(table)


def prepare(engine: sa.Engine, url: str) -> None:
    """Bring the database to the newest migration, one process at a time; quick where it is there already."""
    file = sqlite_file(url)
    with answering(url), _locked(file):
        if file is not None:
            _create_folder(file)
        with engine.connect() as connection:
            revision = _revision(connection)
        if revision != HEAD:
            _migrate_alone(engine, url)


def _migrate_alone(engine: sa.Engine, url: str) -> None:
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            # Others may be at a long migration: nothing but their end is worth waiting for.
            connection.execute(sa.text("SET LOCAL lock_timeout = 0"))
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        if _revision(connection) != HEAD:
            _migrate(connection, url)


def _locked(file: Path | None) -> Any:
    return nullcontext() if file is None else exclusive(file.with_name(f"{file.name}.lock"))


def _create_folder(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnavailableError(f"{file.parent}: cannot be created for the store ({error})") from error


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()


def _migrate(connection: sa.Connection, url: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        message = f"{redacted(url)}: the store was written by another version of Evergreen ({error}); install that one"
        raise IntegrityError(message) from printable(error, url)


def _configure_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # Python's driver would commit before DDL: with explicit BEGINs a migration happens whole or not at all.
    connection.isolation_level = None
    for pragma in (f"busy_timeout = {WAIT_SECONDS * 1000}", "journal_mode = WAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    # A reader that turns writer fails at once where another wrote meanwhile; one that starts as a writer waits.
    writes = connection.get_execution_options().get("evergreen_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _explained(url: str, error: exc.OperationalError) -> UnavailableError | IntegrityError:
    reason = _first_line(url, error)
    if "no such table" in reason:
        return IntegrityError(f"{redacted(url)}: not a prepared store ({reason}); prepare it, or check the address")
    if "already exists" in reason or "no such column" in reason:
        return _damaged(url, error)
    if "locked" in reason or "lock timeout" in reason:
        return UnavailableError(f"{redacted(url)}: locked by another process ({reason}); try again once it is done")
    message = f"{redacted(url)}: the store does not answer ({reason}); check that it runs and can be written"
    return UnavailableError(message)


def _damaged(url: str, error: exc.DBAPIError) -> IntegrityError:
    message = f"{redacted(url)}: not a store of Evergreen, or damaged ({_first_line(url, error)})"
    return IntegrityError(f"{message}; check EVERGREEN_STORE_URL, or restore the file from its backup")


def _first_line(url: str, error: exc.DBAPIError) -> str:
    text = str(error.orig).strip().splitlines()[0] if error.orig is not None else type(error).__name__
    return scrubbed(text, url)
