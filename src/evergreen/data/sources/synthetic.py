"""Rows from a seeded generator."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from evergreen.data.sources.stream import Request, Stream, pick, require_columns
from evergreen.data.synthetic import find_generator
from evergreen.errors import DataError
from evergreen.spec.data import SyntheticSource


@contextmanager
def open_stream(source: SyntheticSource, request: Request) -> Iterator[Stream]:
    """Stream what a generator yields: one of ours by name, or `module:function`."""
    where = f"generator {source.generator}"
    yield Stream(where, _batches(source, where, request))


def _batches(source: SyntheticSource, where: str, request: Request) -> Iterator[Any]:
    import pandas as pd
    import pyarrow as pa

    made = find_generator(source.generator)(source.rows, source.seed, dict(source.options))
    for frame in (made,) if isinstance(made, pd.DataFrame) else made:
        if not isinstance(frame, pd.DataFrame):
            raise DataError(f"{where}: yields {type(frame).__name__}; let it return or yield pandas frames")
        require_columns([str(name) for name in frame.columns], request, where)
        yield pick(pa.RecordBatch.from_pandas(frame[request.columns], preserve_index=False), request.columns)
