"""Batches that come as Arrow or Parquet: the same rules as for JSON, a column at a time."""

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.data.parse import TextRules, read_values
from evergreen.serving.handles import Column, Problem
from evergreen.serving.reader import MOST_PROBLEMS, Reader, Rows
from evergreen.serving.values import LONGEST, Refusal, null_numbers, read_id, read_value, show

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

MOST_ROWS = 1_000_000
# Uncompressed; a small body can unfold to anything.
_MOST_BYTES = 2**30
_BATCH = 16_384

Answer = Rows | tuple[Problem, ...]


def decode_arrow(reader: Reader, body: bytes) -> Answer:
    """An Arrow stream or file as rows, or what is wrong."""
    import pyarrow as pa

    def batches() -> "Iterator[pa.RecordBatch]":
        if body[:6] != b"ARROW1":
            yield from pa.ipc.open_stream(pa.py_buffer(body))
            return
        file = pa.ipc.open_file(pa.py_buffer(body))
        yield from (file.get_batch(i) for i in range(file.num_record_batches))

    return _read(reader, batches(), "Arrow stream")


def decode_parquet(reader: Reader, body: bytes) -> Answer:
    """A Parquet file as rows, or what is wrong."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def batches() -> "Iterator[pa.RecordBatch]":
        schema = pq.read_schema(io.BytesIO(body))
        texts = [field.name for field in schema if pa.types.is_string(field.type)]
        # A long text that a million rows repeat stays one text.
        with pq.ParquetFile(io.BytesIO(body), read_dictionary=texts) as file:
            yield from file.iter_batches(_BATCH)

    return _read(reader, batches(), "Parquet file")


def _read(reader: Reader, batches: "Iterator[pa.RecordBatch]", kind: str) -> Answer:
    """Batch by batch, so that a body that unfolds to more than it may is not unfolded to its end."""
    import pyarrow as pa

    read, rows, size = [], 0, 0
    try:
        for batch in batches:
            # Offsets of a stranger may point anywhere.
            batch.validate(full=True)
            rows, size = rows + batch.num_rows, size + batch.nbytes
            if rows > MOST_ROWS or size > _MOST_BYTES:
                return (Problem("rows", "unfolds to more than a request may hold; send it in parts"),)
            read.append(batch)
        table = pa.Table.from_batches(read) if read else None
        names = [] if table is None else table.column_names
    except (pa.ArrowException, OSError, ValueError, KeyError, MemoryError) as error:
        # A name that is no UTF-8 is a ValueError, too.
        return (Problem("body", f"is no whole {kind} ({type(error).__name__})"),)
    return (Problem("empty", "holds no row"),) if table is None else _checked(reader, table, names)


def _checked(reader: Reader, table: "pa.Table", names: list[str]) -> Answer:
    """An Arrow table as rows, or all that is wrong with it, up to MOST_PROBLEMS."""
    if table.num_rows == 0:
        return (Problem("empty", "holds no row"),)
    problems = _names(reader, names)
    if problems:
        return tuple(problems[:MOST_PROBLEMS])
    values = []
    for column in reader.columns:
        read, found = _column(column, _whole(table, column.name))
        values.append(read)
        problems += found
        if len(problems) >= MOST_PROBLEMS:
            break
    ids, found = _ids(reader, table)
    problems += found
    if problems:
        return tuple(sorted(problems, key=lambda problem: problem.row or 0)[:MOST_PROBLEMS])
    return Rows(list(zip(*values, strict=True)), ids)


def _names(reader: Reader, names: list[str]) -> list[Problem]:
    wanted = [column.name for column in reader.columns]
    known = {*wanted, reader.id_column}
    problems = [Problem("missing", "is missing", name) for name in wanted if name not in names]
    if not reader.ignore_extra:
        problems += [Problem("extra", "is no input of the model", show(n)[1:-1]) for n in names if n not in known]
    twice = sorted({name for name in names if names.count(name) > 1 and name in known})
    return problems + [Problem("type", "is there twice", name) for name in twice]


def _whole(table: "pa.Table", name: str) -> Any:
    import pyarrow as pa
    from pyarrow import types

    column = table.column(name)
    if types.is_string_view(column.type):
        column = column.cast(pa.string())
    if types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    chunks = column.combine_chunks()
    return pa.concat_arrays(chunks.chunks) if isinstance(chunks, pa.ChunkedArray) else chunks


def _column(column: Column, values: Any) -> tuple[list[Any], list[Problem]]:
    """Canonical values of a column, and the problems of its rows."""
    import pyarrow as pa

    if not _fits(column, values.type):
        return [], [Problem("type", f"is {str(values.type)[:40]}; that is no {column.type}", column.name)]
    if too_long := _too_long(column, values):
        return [], [too_long]
    rules = TextRules(nulls=column.nulls, day_first=column.day_first)
    try:
        reading = read_values(values, column.type, rules)
    except pa.ArrowException as error:
        return [], [Problem("type", f"cannot be read as {column.type} ({type(error).__name__})", column.name)]
    read = _plain(column, reading.values)
    unreadable = None if reading.unreadable is None else np.asarray(reading.unreadable.to_numpy(zero_copy_only=False))
    doubtful = _suspects(column, read) if unreadable is None else np.arange(len(read))
    return read, _problems(column, read, values, unreadable, doubtful)


def _fits(column: Column, given: Any) -> bool:
    """A number where numbers are wanted, and so on; a text is no number."""
    from pyarrow import types

    if types.is_dictionary(given):
        given = given.value_type
    if types.is_null(given):
        return True
    number = types.is_integer(given) or types.is_floating(given) or types.is_decimal(given)
    text = _is_text(given)
    if column.type in ("integer", "number"):
        return bool(number)
    if column.type == "boolean":
        return bool(number or types.is_boolean(given))
    if column.type == "datetime":
        return bool(text or types.is_timestamp(given) or types.is_date(given))
    return bool(text or number or types.is_boolean(given))


def _is_text(given: Any) -> bool:
    from pyarrow import types

    return bool(types.is_string(given) or types.is_large_string(given))


def _plain(column: Column, values: Any) -> list[Any]:
    """Arrow values as canonical ones."""
    import pyarrow as pa

    if column.type in ("category", "text"):
        return list(values.to_pylist())
    if column.type == "datetime":
        return list(values.cast(pa.int64()).to_pylist())
    numbers = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    for null in null_numbers(column) if column.type != "boolean" else ():
        numbers = np.where(numbers == null, np.nan, numbers)
    return list(np.asarray(numbers, dtype=np.float64).tolist())


def _suspects(column: Column, read: list[Any]) -> Any:
    """Rows that may break a rule; the exact check says which of them do."""
    if column.type in ("integer", "number", "boolean"):
        numbers = np.array(read, dtype=np.float64)
        broken = np.isnan(numbers) & (not column.nullable)
        if column.min is not None:
            broken |= numbers < column.min
        if column.max is not None:
            broken |= numbers > column.max
        return np.flatnonzero(broken)
    known = {value for value in set(read) if _judged(column, value) is None}
    return [position for position, value in enumerate(read) if value not in known]


def _judged(column: Column, value: Any) -> Refusal | None:
    """Why a canonical value is refused."""
    if column.type == "datetime" and value is not None:
        return None
    if isinstance(value, str) and len(value) > LONGEST[column.type]:
        return Refusal("length", f"has {len(value)} characters; at most {LONGEST[column.type]}")
    judged = read_value(column, value)
    return judged if isinstance(judged, Refusal) else None


def _problems(column: Column, read: list[Any], given: Any, unreadable: Any, doubtful: Any) -> list[Problem]:
    problems = []
    for position in map(int, doubtful):
        if unreadable is not None and unreadable[position]:
            found: Refusal | None = _unreadable(column, given[position].as_py())
        else:
            value = read[position]
            found = _judged(column, None if value != value else value)  # noqa: PLR0124 - NaN
        if found is not None:
            problems.append(Problem(found.rule, found.why, column.name, position))
        if len(problems) >= MOST_PROBLEMS:
            break
    return problems


def _unreadable(column: Column, value: Any) -> Refusal:
    infinite = isinstance(value, float) and value in (float("inf"), float("-inf"))
    if infinite:
        return Refusal("finite", "is not finite; a missing value is null")
    return Refusal("type", f"is {show(value)[:40]}, which is no {column.type}")


def _ids(reader: Reader, table: "pa.Table") -> tuple[list[str | None], list[Problem]]:
    name = reader.id_column
    if name is None or name not in table.column_names:
        return [None] * table.num_rows, []
    read = [read_id(value) for value in table.column(name).to_pylist()]
    refused = ((i, value) for i, value in enumerate(read) if isinstance(value, Refusal))
    problems = [Problem(r.rule, r.why, name, i) for i, r in refused]
    return [None if isinstance(value, Refusal) else value for value in read], problems[:MOST_PROBLEMS]


def _too_long(column: Column, values: Any) -> Problem | None:
    """The Problem with a text that is too long, seen before it is repeated for every row that has it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    repeated = pa.types.is_dictionary(values.type)
    texts = values.dictionary if repeated else values
    if column.type not in LONGEST or not _is_text(texts.type):
        return None
    lengths = pc.utf8_length(texts)
    longest = pc.max(lengths).as_py() or 0
    if longest <= LONGEST[column.type]:
        return None
    why = f"has {longest} characters; at most {LONGEST[column.type]}"
    return Problem("length", why, column.name, None if repeated else pc.index(lengths, longest).as_py())
