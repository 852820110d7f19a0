"""Any database that SQLAlchemy reaches, streamed from a cursor on the server's side."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from evergreen.data.sources.stream import Request, Stream, pick, require_columns
from evergreen.errors import DataError, EvergreenError, UnavailableError
from evergreen.spec.data import SqlSource

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Connection, Engine

# Rows cross Python one by one here: fewer at once than elsewhere.
_ROWS = 16_384


@contextmanager
def open_stream(source: SqlSource, request: Request) -> Iterator[Stream]:
    """Stream the answer to a query. Times without a zone are UTC."""
    url = _url(source)
    where = f"query on {url.render_as_string(hide_password=True)}"
    engine = _engine(url, where)
    try:
        with _connect(engine, where) as connection:
            yield Stream(where, _batches(connection, source.query, where, request))
    finally:
        engine.dispose()


def _url(source: SqlSource) -> "URL":
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    text = source.url or os.environ.get(source.url_env or "")
    if not text:
        raise DataError(f"the environment variable {source.url_env} (data.source.url_env) is not set; set it to a URL")
    try:
        return make_url(text)
    except ArgumentError:
        # The text may hold a password, so that it is not repeated.
        origin = "data.source.url" if source.url else source.url_env
        raise DataError(f"{origin} is no database URL; write dialect://user:password@host/database") from None


def _engine(url: "URL", where: str) -> "Engine":
    from sqlalchemy import create_engine
    from sqlalchemy.exc import NoSuchModuleError

    file = url.database or ""
    named = url.get_backend_name() == "sqlite" and file not in ("", ":memory:") and not file.startswith("file:")
    # SQLite would create the file and answer that there is no such table.
    if named and not os.path.isfile(file):
        raise DataError(f"{where}: there is no such file {os.path.abspath(file)}")
    try:
        return create_engine(url)
    except NoSuchModuleError as error:
        raise DataError(f"{where}: unknown dialect {url.drivername!r}; use one such as postgresql+psycopg") from error
    except ImportError as error:
        raise DataError(
            f"{where}: its driver is missing ({error}); install it with: pip install {error.name}"
        ) from error


@contextmanager
def _connect(engine: "Engine", where: str) -> Iterator["Connection"]:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        connection = engine.connect()
    except SQLAlchemyError as error:
        raise UnavailableError(f"{where}: the database does not answer ({_short(error)})") from error
    with connection:
        yield connection.execution_options(stream_results=True, yield_per=_ROWS)


def _batches(connection: "Connection", query: str, where: str, request: Request) -> Iterator[Any]:
    from sqlalchemy import text
    from sqlalchemy.exc import SQLAlchemyError

    statement = text(query)
    moments = request.moments
    used = statement.compile().params
    unknown = sorted(set(used) - set(moments))
    if unknown:
        raise DataError(f"{where}: the query uses :{unknown[0]}; there are only :as_of and :since")
    try:
        result = connection.execute(statement, {name: moments[name] for name in used})
        names = list(result.keys())
        require_columns(names, request, where)
        for rows in result.partitions(_ROWS):
            yield pick(_batch(names, rows), request.columns)
    except SQLAlchemyError as error:
        raise _refused(error, where) from error


def _batch(names: list[str], rows: Sequence[Any]) -> Any:
    import pyarrow as pa

    columns = [_array(values) for values in zip(*rows, strict=True)]
    return pa.RecordBatch.from_arrays(columns, names=names)


def _array(values: Sequence[Any]) -> Any:
    """A column as an Arrow array; one of mixed Python types, as SQLite allows, as text."""
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError, OverflowError):
        return pa.array([None if value is None else str(value) for value in values], pa.string())


def _refused(error: Exception, where: str) -> EvergreenError:
    from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    away = isinstance(error, OperationalError | InterfaceError) and not _names_a_mistake(error)
    if lost or away:
        return UnavailableError(f"{where}: the database stopped answering ({_short(error)})")
    return DataError(f"{where}: the query fails ({_short(error)}); correct data.source.query")


def _names_a_mistake(error: Exception) -> bool:
    # SQLite reports an unknown table or a syntax error as operational.
    return any(sign in str(error) for sign in ("no such", "syntax error", "unrecognized token", "incomplete input"))


def _short(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
