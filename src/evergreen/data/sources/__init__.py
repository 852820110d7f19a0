"""Sources of rows, one file each."""

from contextlib import AbstractContextManager
from importlib import import_module

from evergreen.data.sources.stream import Request, Stream
from evergreen.spec.data import Source

__all__ = ["Request", "Stream", "open_source"]


def open_source(source: Source, request: Request) -> AbstractContextManager[Stream]:
    """Open a source of any kind.

    Raises DataError when it cannot be what the spec says, UnavailableError when it does not answer.
    """
    # Each kind has its module, so that its vendor is imported only by those who read from it.
    opened: AbstractContextManager[Stream] = import_module(f"{__name__}.{source.kind}").open_stream(source, request)
    return opened
