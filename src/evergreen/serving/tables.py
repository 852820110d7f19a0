"""Batches that come as Arrow or Parquet: the same rules as for JSON, a column at a time."""

from functools import partial
from typing import TYPE_CHECKING, Any

from evergreen.serving.by_column import ByColumn
from evergreen.serving.footer import MOST_BYTES as LONGEST
from evergreen.serving.footer import LongFooter
from evergreen.serving.handles import Column, Problem
from evergreen.serving.reader import MOST_PROBLEMS, Reader, Rows, few_as_rows
from evergreen.serving.table_columns import NOTHING, fits, read_column, too_long, whole
from evergreen.serving.unfold import MOST_BYTES, Choose, TooMuch, arrow_batches, parquet_batches, too_much
from evergreen.serving.values import (
    Refusal,
    read_id,
    show,
)
from evergreen.store.fields import Field, texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

MOST_ROWS = 50_000

Answer = Rows | tuple[Problem, ...]


def decode_arrow(reader: Reader, body: bytes, most_rows: int = MOST_ROWS) -> Answer:
    """An Arrow stream or file as rows, or what is wrong."""
    return _read(reader, body, most_rows, arrow_batches, "Arrow stream")


def decode_parquet(reader: Reader, body: bytes, most_rows: int = MOST_ROWS) -> Answer:
    """A Parquet file as rows, or what is wrong."""
    return _read(reader, body, most_rows, parquet_batches, "Parquet file")


class _NoTable(Exception):  # noqa: N818 - it becomes an answer
    """A table whose names or types are no model's input."""

    def __init__(self, problems: "list[Problem]") -> None:
        super().__init__()
        self.problems = tuple(problems[:MOST_PROBLEMS])


def _read(
    reader: Reader,
    body: bytes,
    most_rows: int,
    batches: "Callable[[bytes, Choose, int], Iterator[pa.RecordBatch]]",
    kind: str,
) -> Answer:
    """Names and types are judged before any value is read, and no column is read that is not wanted."""
    import pyarrow as pa

    read, rows, size = [], 0, 0
    try:
        for batch in batches(body, lambda schema: _choose(reader, schema), most_rows):
            # Offsets of a stranger may point anywhere.
            batch.validate(full=True)
            rows, size = rows + batch.num_rows, size + batch.nbytes
            if rows > most_rows or size > MOST_BYTES:
                raise TooMuch
            read.append(batch)
        table = pa.Table.from_batches(read) if read else None
    except _NoTable as wrong:
        return wrong.problems
    except TooMuch:
        return (too_much(most_rows),)
    except LongFooter:
        return (Problem("body", f"has a footer of more than {LONGEST // 2**20} MB; write larger row groups"),)
    except (pa.ArrowException, OSError, ValueError, KeyError, MemoryError) as error:
        # A name that is no UTF-8 is a ValueError, too.
        return (Problem("body", f"is no whole {kind} ({type(error).__name__})"),)
    return (Problem("empty", "holds no row"),) if table is None or not table.num_rows else _checked(reader, table)


def _choose(reader: Reader, schema: "pa.Schema") -> list[int]:
    """Where the wanted fields stand."""
    problems = _names(reader, schema.names) or _types(reader, schema)
    if problems:
        raise _NoTable(problems)
    wanted = {*(column.name for column in reader.columns), reader.id_column}
    return [place for place, name in enumerate(schema.names) if name in wanted]


def _types(reader: Reader, schema: "pa.Schema") -> list[Problem]:
    columns = list(reader.columns)
    if reader.id_column in schema.names and all(column.name != reader.id_column for column in columns):
        columns.append(Column(str(reader.id_column), "category"))
    given = [(column, schema.field(column.name).type) for column in columns]
    return [
        Problem("type", f"is {str(kind)[:40]}; that is no {column.type}", column.name)
        for column, kind in given
        if not fits(column, kind)
    ]


def _checked(reader: Reader, table: "pa.Table") -> Answer:
    """An Arrow table as rows, or all that is wrong with it, up to MOST_PROBLEMS."""
    values: list[Field] = []
    problems: list[Problem] = []
    for column in reader.columns:
        read, found = _safely(column, table, partial(read_column, column))
        values.append(read)
        problems += found
        if len(problems) >= MOST_PROBLEMS:
            break
    ids, found = _ids(reader, table)
    problems += found
    if problems:
        return tuple(sorted(problems, key=lambda problem: problem.row or 0)[:MOST_PROBLEMS])
    return Rows(few_as_rows(ByColumn(values)), ids)


def _safely(
    column: Column, table: "pa.Table", read: "Callable[[Any], tuple[Field, list[Problem]]]"
) -> tuple[Field, list[Problem]]:
    """What Arrow cannot do with a column is a problem of the column."""
    import pyarrow as pa

    try:
        return read(whole(table, column.name))
    except TooMuch:
        return NOTHING, [Problem("rows", f"unfolds to more than {MOST_BYTES // 2**20} MB", column.name)]
    except (pa.ArrowException, ValueError, OverflowError, MemoryError) as error:
        return NOTHING, [Problem("type", f"cannot be read as {column.type} ({type(error).__name__})", column.name)]


def _names(reader: Reader, names: list[str]) -> list[Problem]:
    wanted = [column.name for column in reader.columns]
    known = {*wanted, reader.id_column}
    problems = [Problem("missing", "is missing", name) for name in wanted if name not in names]
    problems += [Problem("extra", "is no input of the model", show(n)[1:-1]) for n in names if n not in known]
    twice = sorted({name for name in names if names.count(name) > 1 and name in known})
    return problems + [Problem("type", "is there twice", name) for name in twice]


def _ids(reader: Reader, table: "pa.Table") -> tuple[list[str | None], list[Problem]]:
    name = reader.id_column
    if name is None or name not in table.column_names:
        return [None] * table.num_rows, []
    column = Column(name, "category")
    given, found = _safely(column, table, partial(_names_of, column))
    if found:
        return [], found
    read = [read_id(value) for value in given.tolist()]
    refused = ((i, value) for i, value in enumerate(read) if isinstance(value, Refusal))
    problems = [Problem(r.rule, r.why, name, i) for i, r in refused]
    return [None if isinstance(value, Refusal) else value for value in read], problems[:MOST_PROBLEMS]


def _names_of(column: Column, values: Any) -> tuple[Field, list[Problem]]:
    found = too_long(column, values)
    return (NOTHING, [found]) if found is not None else (texts(values.to_pylist()), [])
