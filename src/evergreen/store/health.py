"""What state a database is in, found out without changing it: nothing is created, migrated or locked."""

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from evergreen.address import sqlite_file
from evergreen.errors import IntegrityError, UnavailableError
from evergreen.store.database import answering, open_engine
from evergreen.store.tables import VERSION_TABLE

_NAME = re.compile(r"\w+")
_PATIENCE_SECONDS = 2.0


@dataclass(frozen=True)
class DatabaseState:
    """The migration a database is at, None where it has none yet; `now` is None where it has no clock of its own."""

    revision: str | None
    now: datetime | None


def read_state(url: str, version_table: str = VERSION_TABLE) -> DatabaseState | None:
    """The state of a database that migrates with Alembic; None where an SQLite file is not there yet.

    Raises UnavailableError where it does not answer, IntegrityError where the file is no database.
    """
    if not _NAME.fullmatch(version_table):
        raise ValueError(f"{version_table!r} is no name of a table")
    file = sqlite_file(url)
    if file is None:
        return _state_of_server(url, version_table)
    return DatabaseState(_revision_in_file(file, version_table), None) if file.exists() else None


def known_revisions() -> frozenset[str]:
    """The migrations that this version of Evergreen knows.

    >>> "0001" in known_revisions()
    True
    """
    return frozenset(path.name.partition("_")[0] for path in (Path(__file__).parent / "migrations/versions").glob("0*"))


def _state_of_server(url: str, version_table: str) -> DatabaseState:
    with answering(url), open_engine(url).connect() as connection:
        if sa.inspect(connection).has_table(version_table):
            revision = connection.execute(sa.text(f"SELECT version_num FROM {version_table}")).scalar()
        else:
            revision = None
        now = connection.execute(sa.text("SELECT clock_timestamp()")).scalar_one()
    return DatabaseState(revision, now.astimezone(UTC))


def _revision_in_file(file: Path, version_table: str) -> str | None:
    # Read-only, and not through an engine: that would switch a file to WAL.
    address = f"{file.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=_PATIENCE_SECONDS)) as connection:
            there = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?"
            if not connection.execute(there, (version_table,)).fetchone()[0]:
                return None
            found = connection.execute(f"SELECT version_num FROM {version_table}").fetchone()
    except sqlite3.OperationalError as error:
        raise UnavailableError(f"{file}: cannot be read ({error})") from error
    except sqlite3.DatabaseError as error:
        raise IntegrityError(f"{file}: is no SQLite database, or damaged ({error}); restore its backup") from error
    return str(found[0]) if found else None
