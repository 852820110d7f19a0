"""Writing predictions, group by group, over a connection that stays open between them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple, Self

import msgspec
import sqlalchemy as sa

from evergreen.errors import RowError
from evergreen.store.block import Block
from evergreen.store.database import answering, open_engine
from evergreen.store.moments import to_micros
from evergreen.store.prediction import Prediction
from evergreen.store.tables import predictions, traffic
from evergreen.store.traffic_group import Packed, packed


class TrafficWriter:
    """Writes into the database at `url`, for one thread. Opens its connection when it first writes.

    After a failure it opens another one, so that the same call can simply be made again.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection: sa.Connection | None = None

    def write(self, rows: Sequence[Prediction | Block], now: datetime) -> int:
        """Write all or none of them, in one transaction; how many groups that were.

        Twice is once: the same rows may be given again after a failure that left open whether they were written.
        Raises RowError where one of them can never be written, and UnavailableError where the database does not answer,
        is locked, or takes no writes.
        """
        groups, written_at = _pack(rows), to_micros(now)
        statements = _STATEMENTS[self._engine.dialect.name]
        try:
            with answering(self.url), self._transaction() as cursor:
                for group in groups:
                    _insert(cursor, statements, group, written_at)
        except BaseException:
            self.close()
            raise
        return len(groups)

    def close(self) -> None:
        """Close the connection; what was written stays."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def _engine(self) -> sa.Engine:
        return open_engine(self.url)

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        """A cursor of the driver's own: by way of SQLAlchemy a group of one row costs three times as much."""
        driver = self._open()
        try:
            cursor = driver.cursor()
            if self._engine.dialect.name == "sqlite":
                cursor.execute("BEGIN IMMEDIATE")
            yield cursor
            driver.commit()
        except self._engine.dialect.loaded_dbapi.Error as error:
            base = self._engine.dialect.loaded_dbapi.Error
            raise sa.exc.DBAPIError.instance(None, None, error, base) from error
        except (OverflowError, TypeError, ValueError) as error:
            # The driver could not even send a value.
            raise RowError(f"a prediction cannot be written ({type(error).__name__}: {error})") from error

    def _open(self) -> Any:
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection.connection


def _pack(rows: Sequence[Prediction | Block]) -> list[Packed]:
    try:
        return list(packed(rows))
    except MemoryError:
        raise
    except Exception as error:
        raise RowError(f"a prediction cannot be packed ({type(error).__name__}: {error})") from error


def _insert(cursor: Any, statements: "_Statements", group: Packed, now: int) -> None:
    whole = (group.model, group.version, group.role.value, group.first_at, group.last_at, now, group.rows)
    inserted = cursor.execute(statements.group, (group.key, *whole, group.content)).fetchone()
    if inserted is not None:
        cursor.execute(statements.places, (inserted[0], group.model, msgspec.json.encode(group.places).decode()))


class _Statements(NamedTuple):
    """The row of a group, and those of its predictions: in one call, as the driver of SQLite gives way to other threads
    at each of them, and gets its turn again when one that is busy lets it.
    """

    group: str
    places: str


def _statements(mark: str, places: str) -> _Statements:
    names = [column.name for column in traffic.columns if column.name != "id"]
    group = f"INSERT INTO {traffic.name} ({', '.join(names)}) VALUES ({', '.join([mark] * len(names))})"
    into = f"INSERT INTO {predictions.name} (traffic, model, position, id, at, row_id, request) "
    return _Statements(f"{group} ON CONFLICT (key) DO NOTHING RETURNING id", into + places)


_STATEMENTS = {
    "sqlite": _statements(
        "?",
        "SELECT ?, ?, json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'), "
        "json_extract(value, '$[3]'), json_extract(value, '$[4]') FROM json_each(?)",
    ),
    "postgresql": _statements(
        "%s",
        "SELECT %s, %s, (value->>0)::integer, value->>1, (value->>2)::bigint, value->>3, value->>4 "
        "FROM json_array_elements(%s::json) AS value",
    ),
}
