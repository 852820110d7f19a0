"""Parquet: one file or a folder of them, streamed with only the columns that are asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from evergreen.data.paths import filesystem_of, locate, require_file
from evergreen.data.sources.stream import BATCH_ROWS, Request, Stream, require_columns
from evergreen.errors import DataError
from evergreen.spec.data import ParquetSource


@contextmanager
def open_stream(source: ParquetSource, request: Request) -> Iterator[Stream]:
    """Stream a Parquet file, or all files of a folder in the order of their names, at any fsspec path."""
    yield open_file(require_file(locate(source.path), source.path), source.path, request)


def open_file(path: str, where: str, request: Request) -> Stream:
    """Stream a located file or folder; `where` names it in messages."""
    import pyarrow as pa
    from pyarrow import dataset

    filesystem, inside = filesystem_of(path)
    try:
        files = dataset.dataset(inside, filesystem=filesystem, format="parquet", partitioning="hive")
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{where}: is no Parquet ({error}); name a Parquet file or a folder of such files") from error
    require_columns(files.schema.names, request, where)
    return Stream(where, _batches(files, where, request))


def _batches(files: Any, where: str, request: Request) -> Iterator[Any]:
    import pyarrow as pa
    from pyarrow import dataset

    # Little read-ahead and no buffering of whole row groups: a file may well be one row group larger than memory.
    batches = files.to_batches(
        columns=request.columns,
        batch_size=BATCH_ROWS,
        batch_readahead=2,
        fragment_readahead=1,
        use_threads=False,
        fragment_scan_options=dataset.ParquetFragmentScanOptions(pre_buffer=False, use_buffered_stream=True),
    )
    try:
        yield from batches
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{where}: cannot be read ({error})") from error
