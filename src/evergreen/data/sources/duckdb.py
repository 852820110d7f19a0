"""Queries that DuckDB answers, over CSV and Parquet files or a database file opened read-only."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from evergreen.data.paths import filesystem_of, is_local, locate, require_file
from evergreen.data.sources.csv import BROKEN, unpacked
from evergreen.data.sources.stream import BATCH_ROWS, Request, Stream, pick, require_columns
from evergreen.errors import DataError, UnavailableError
from evergreen.spec.data import NULLS, DuckdbSource


@contextmanager
def open_stream(source: DuckdbSource, request: Request) -> Iterator[Stream]:
    """Stream the answer to a query. `$as_of` and `$since` are bound where it uses them."""
    query, where = _query(source)
    with tempfile.TemporaryDirectory(prefix="evergreen-duckdb-") as scratch, _connect(source, where) as connection:
        for name, path in source.tables.items():
            _register(connection, name, path, Path(scratch))
        yield Stream(where, _batches(connection, query, where, request))


def _query(source: DuckdbSource) -> tuple[str, str]:
    if source.query is not None:
        return source.query, "query on DuckDB"
    given = str(source.query_file)
    filesystem, inside = filesystem_of(require_file(locate(given), given))
    return filesystem.cat_file(inside).decode("utf-8"), given


@contextmanager
def _connect(source: DuckdbSource, where: str) -> Iterator[Any]:
    import duckdb

    # Nothing is fetched from the network behind the user's back.
    config = {"autoinstall_known_extensions": "false"}
    database = ":memory:"
    if source.database is not None:
        database = require_file(locate(source.database), source.database)
    try:
        connection = duckdb.connect(database, read_only=source.database is not None, config=config)
    except duckdb.IOException as error:
        raise UnavailableError(f"{where}: {source.database} cannot be opened ({error})") from error
    except duckdb.Error as error:
        raise DataError(f"{where}: {source.database} is no DuckDB database ({error})") from error
    with contextlib.closing(connection):
        # Else a time with a zone would be cast to the local time of the machine.
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def _register(connection: Any, name: str, path: str, scratch: Path) -> None:
    """Make a file a view. Texts that usually mean missing are null in a CSV file."""
    import duckdb

    located = locate(path)
    if any(mark in located for mark in "*?["):
        file = located
    else:
        file = _ready(require_file(located, path), path, scratch / name)
    if not is_local(file):
        connection.register_filesystem(filesystem_of(file)[0])
    parquet = file.removesuffix("/").endswith((".parquet", ".pq")) or Path(file).is_dir()
    if parquet:
        scan = f"read_parquet({_literal(f'{file}/**/*.parquet' if Path(file).is_dir() else file)})"
    else:
        nulls = ", ".join(_literal(text) for text in NULLS)
        scan = f"read_csv({_literal(file)}, nullstr=[{nulls}])"
    quoted = '"' + name.replace('"', '""') + '"'
    try:
        connection.execute(f"CREATE OR REPLACE TEMP VIEW {quoted} AS SELECT * FROM {scan}")
    except duckdb.Error as error:
        raise DataError(f"{path}: cannot be read as table {name!r} ({error})") from error


def _ready(file: str, given: str, scratch: Path) -> str:
    """The file itself, or what is in it when it is a .zip, which DuckDB does not read."""
    if not file.endswith(".zip"):
        return file
    target = scratch.with_suffix(".csv")
    filesystem, inside = filesystem_of(file)
    try:
        with (
            filesystem.open(inside, "rb") as packed,
            unpacked(cast(BinaryIO, packed), given) as text,
            target.open("wb") as plain,
        ):
            shutil.copyfileobj(text, plain, 1 << 20)
    except BROKEN as error:
        raise DataError(f"{given}: cannot be unpacked ({error})") from error
    return str(target)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _batches(connection: Any, query: str, where: str, request: Request) -> Iterator[Any]:
    import duckdb
    import pyarrow as pa

    try:
        answer = connection.sql(query, params=_moments(connection, query, where, request))
        if answer is None:
            raise DataError(f"{where}: the query answers with no table; write one SELECT")
        reader = answer.to_arrow_reader(BATCH_ROWS)
        require_columns(reader.schema.names, request, where)
        for batch in reader:
            yield pick(batch, request.columns)
    # What fails in the middle of an answer comes through Arrow.
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        raise DataError(f"{where}: the query fails ({error}); correct it, or the file that it reads") from error


def _moments(connection: Any, query: str, where: str, request: Request) -> dict[str, Any]:
    statements = connection.extract_statements(query)
    if len(statements) != 1:
        raise DataError(f"{where}: holds {len(statements)} statements; write one SELECT")
    moments = request.moments
    used = set(statements[0].named_parameters)
    unknown = sorted(used - set(moments))
    if unknown:
        raise DataError(f"{where}: the query uses ${unknown[0]}; there are only $as_of and $since")
    return {name: moments[name] for name in used}
