"""How much a table unfolds to, seen before any of it is: a few bytes can stand for gigabytes."""

import io
import struct
from collections.abc import Callable, Iterator, Sequence
from struct import unpack_from
from typing import TYPE_CHECKING, Any

from evergreen.serving.footer import column_chunks
from evergreen.serving.handles import Problem

if TYPE_CHECKING:
    import pyarrow as pa

MOST_BYTES = 2**28
"""Of the values of a table, unfolded."""

_BATCH = 4_096
_FILE = b"ARROW1"
# As parquet.thrift numbers it.
_DELTA_BYTE_ARRAY = 7

Choose = Callable[["pa.Schema"], Sequence[int]]
"""Which fields of a schema are wanted. Raises TooMuch, or whatever ends the reading."""


class TooMuch(Exception):  # noqa: N818 - it becomes an answer
    """A table that unfolds to more than a request may hold."""


def too_much(most_rows: int) -> Problem:
    """What is said of it."""
    return Problem("rows", f"unfolds to more than {most_rows:,} rows or {MOST_BYTES // 2**20} MB; send it in parts")


def arrow_batches(body: bytes, choose: Choose, most_rows: int) -> "Iterator[pa.RecordBatch]":
    """The wanted columns of an Arrow stream, or of a file, which is a stream between its marks.

    Raises TooMuch before anything is unfolded, and what Arrow raises for bytes that are no stream.
    """
    import pyarrow as pa

    whole = pa.py_buffer(body)
    if body[:6] == _FILE:
        if not body.endswith(_FILE):
            raise ValueError("a file that ends too soon")
        whole = whole.slice(8)
    _require_little(whole, most_rows)
    with pa.ipc.open_stream(whole) as stream:
        wanted = choose(stream.schema)
    yield from pa.ipc.open_stream(whole, options=pa.ipc.IpcReadOptions(included_fields=list(wanted)))


def parquet_batches(body: bytes, choose: Choose, most_rows: int) -> "Iterator[pa.RecordBatch]":
    """The wanted columns of a Parquet file.

    Raises TooMuch by what the file says of itself, and what Arrow raises for bytes that are no such file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(io.BytesIO(body)) as file:
        if file.metadata.num_rows > most_rows:
            raise TooMuch
        schema = file.schema_arrow
        wanted = [schema.field(place) for place in choose(schema)]
        chunks = file.metadata.num_row_groups * file.metadata.num_columns
    _require_small(body, chunks)
    texts = [field.name for field in wanted if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
    # A long text that many rows repeat stays one text.
    with pq.ParquetFile(io.BytesIO(body), read_dictionary=texts) as file:
        yield from file.iter_batches(_BATCH, columns=[field.name for field in wanted])


def _require_small(body: bytes, chunks: int) -> None:
    """Of so many columns of groups of rows, as Arrow sees them: no column is there that is not wanted."""
    size = 0
    for chunk in column_chunks(body):
        chunks, size = chunks - 1, size + max(chunk.size, 0)
        # Every text as what it adds to the one before: nothing says how long they get.
        if size > MOST_BYTES or _DELTA_BYTE_ARRAY in chunk.encodings:
            raise TooMuch
    if chunks:
        raise ValueError("a footer that can be read in two ways")


def _require_little(whole: "pa.Buffer", most_rows: int) -> None:
    """Add up what the messages of a stream say of themselves."""
    import pyarrow as pa

    rows, size = 0, 0
    for message in pa.ipc.MessageReader.open_stream(whole):
        if message.type not in ("record batch", "dictionary"):
            continue
        try:
            count, unfolded = _measure(memoryview(message.metadata), message.body, message.type == "dictionary")
        except struct.error:
            raise ValueError("a message that is not whole") from None
        rows, size = rows + (count if message.type == "record batch" else 0), size + unfolded
        if rows > most_rows or size > MOST_BYTES:
            raise TooMuch


def _measure(head: memoryview, body: Any, dictionary: bool) -> tuple[int, int]:
    """Rows and unfolded bytes of a batch, as its FlatBuffer says (Message.fbs in Arrow's format)."""
    batch = _table(head, _place(head, _table(head, 0), 2))
    if dictionary:
        batch = _table(head, _place(head, batch, 1))
    length = _place(head, batch, 0)
    rows = unpack_from("<q", head, length)[0] if length else 0
    if not (buffers := _place(head, batch, 2)):
        return rows, 0
    start = _table(head, buffers)
    count = unpack_from("<I", head, start)[0]
    compressed = bool(_place(head, batch, 3))
    size = 0
    for place in range(count):
        offset, inside = unpack_from("<qq", head, start + 4 + 16 * place)
        # A compressed buffer begins with how long it becomes, or with -1 where it is not compressed after all.
        said = unpack_from("<q", body, offset)[0] if compressed and inside >= 8 else -1
        size += max(inside, 0) if said < 0 else said
    return rows, size


def _table(head: memoryview, place: int) -> int:
    """Where an offset leads."""
    return place + int(unpack_from("<I", head, place)[0])


def _place(head: memoryview, table: int, slot: int) -> int:
    """Where a field of a table stands; 0 where it is left out."""
    described = table - unpack_from("<i", head, table)[0]
    at = 4 + 2 * slot
    if at >= unpack_from("<H", head, described)[0]:
        return 0
    offset = unpack_from("<H", head, described + at)[0]
    return table + int(offset) if offset else 0
