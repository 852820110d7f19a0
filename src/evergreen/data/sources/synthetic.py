"""Rows from a seeded generator."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from evergreen.data.sources.stream import Request, Stream, pick, require_columns
from evergreen.data.synthetic import find_generator
from evergreen.errors import DataError, EvergreenError
from evergreen.spec.data import SyntheticSource


@contextmanager
def open_stream(source: SyntheticSource, request: Request) -> Iterator[Stream]:
    """Stream what a generator yields: one of ours by name, or `module:function`."""
    where = f"generator {source.generator}"
    yield Stream(where, _batches(source, where, request))


def _batches(source: SyntheticSource, where: str, request: Request) -> Iterator[Any]:
    import pandas as pd
    import pyarrow as pa

    for frame in _parts(source, where):
        if not isinstance(frame, pd.DataFrame):
            raise DataError(f"{where}: yields {type(frame).__name__}; let it return or yield pandas frames")
        require_columns([str(name) for name in frame.columns], request, where)
        try:
            batch = pa.RecordBatch.from_pandas(frame[request.columns], preserve_index=False)
        except pa.ArrowException as error:
            raise DataError(f"{where}: a column mixes types ({error}); let each have one") from error
        yield pick(batch, request.columns)


def _parts(source: SyntheticSource, where: str) -> Iterator[Any]:
    import pandas as pd

    generate = find_generator(source.generator)
    try:
        made = generate(source.rows, source.seed, dict(source.options))
        yield from (made,) if isinstance(made, pd.DataFrame) else made
    except EvergreenError:
        raise
    # A generator is the user's own code, so that it may raise anything.
    except Exception as error:
        raise DataError(
            f"{where}: fails with {type(error).__name__} ({error}); "
            "it takes (rows, seed, options) and returns a pandas frame, or yields it in parts"
        ) from error
