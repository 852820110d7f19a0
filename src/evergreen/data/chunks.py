"""A snapshot in chunks of rows, so that a table larger than memory can be looked at."""

from collections.abc import Iterator, Sequence
from typing import Any

from evergreen.data.frame import open_snapshot

CHUNK_ROWS = 100_000


def read_chunks(path: str, columns: Sequence[str], rows: int, first: int = 0) -> Iterator[Any]:
    """Arrow tables of `rows` rows each, the last one of what is left, from the row at position `first` on.

    Texts of a category are plain texts. However the file is cut into row groups, the chunks are the same.
    """
    waiting: list[Any] = []
    held = 0
    with open_snapshot(path) as file:
        for batch in _batches(file, columns, rows, first):
            taken = 0
            while taken < batch.num_rows:
                part = batch.slice(taken, rows - held)
                taken += part.num_rows
                waiting.append(part)
                held += part.num_rows
                if held == rows:
                    yield _plain(waiting)
                    waiting, held = [], 0
    if waiting:
        yield _plain(waiting)


def _batches(file: Any, columns: Sequence[str], rows: int, first: int) -> Iterator[Any]:
    """What is left of the file after its first rows; row groups before them are not read."""
    sizes = [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)]
    start = 0
    while start < len(sizes) and sizes[start] <= first:
        first -= sizes[start]
        start += 1
    groups = list(range(start, len(sizes)))
    for batch in file.iter_batches(rows, row_groups=groups, columns=list(columns), use_threads=False):
        skipped = min(first, batch.num_rows)
        first -= skipped
        yield batch.slice(skipped)


def _plain(parts: list[Any]) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    plain = [
        pa.RecordBatch.from_arrays(
            [pc.cast(c, c.type.value_type) if pa.types.is_dictionary(c.type) else c for c in part.columns],
            names=part.schema.names,
        )
        for part in parts
    ]
    return pa.Table.from_batches(plain).combine_chunks()
