"""What a process holds open must end with it: a forked child would hold its locks and sessions on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

_KEPT: set[int] = set()


@contextmanager
def kept_from_children(descriptor: int) -> Iterator[None]:
    """Take an open descriptor away from every child that is forked inside the block."""
    _watch_forks()
    _KEPT.add(descriptor)
    try:
        yield
    finally:
        _KEPT.discard(descriptor)


@cache
def _watch_forks() -> None:
    os.register_at_fork(after_in_child=_let_go)


def _let_go() -> None:
    # The numbers stay taken: what still knows them in the child must not meet another file under them.
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in _KEPT:
        os.dup2(nothing, descriptor, inheritable=False)
    os.close(nothing)
    _KEPT.clear()
