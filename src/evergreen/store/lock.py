"""One at a time, by a lock file that the operating system frees when its holder dies."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from evergreen.errors import UnavailableError
from evergreen.store.forks import kept_from_children

_PAUSE_SECONDS = 0.05


@contextmanager
def exclusive(path: Path, timeout_seconds: float = 120.0) -> Iterator[None]:
    """Hold the lock file at `path`, created with its folder. Raises UnavailableError if others hold it for too long.

    Threads of one process exclude each other as processes do. The file stays behind on purpose: removing it would let
    two processes lock two files of the same name.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        with attempt(path) as file:
            if file is not None:
                yield
                return
        if time.monotonic() > deadline:
            message = f"{path}: held by another process for over {timeout_seconds:g} s; wait for it or stop it"
            raise UnavailableError(message)
        time.sleep(_PAUSE_SECONDS)


@contextmanager
def attempt(path: Path) -> Iterator[BinaryIO | None]:
    """Hold the lock file at `path`, open for reading and writing, if nobody else does; None if somebody does."""
    import fcntl

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+b", buffering=0)
    except OSError as error:
        raise UnavailableError(f"{path}: cannot be locked ({error}); check that its folder can be written") from error
    with file, kept_from_children(file.fileno()):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held = False
        else:
            # Somebody may have removed the file in between: who locks its successor would not notice us.
            held = is_still_at(file, path)
        yield file if held else None


def is_still_at(file: BinaryIO, path: Path) -> bool:
    """True while an open file is the one that its path leads to."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except (OSError, ValueError):
        return False


def is_locked(path: Path) -> bool:
    """True where somebody holds the lock file now. Looking disturbs `attempt` for the moment that it takes.

    Raises UnavailableError where the file cannot be looked at.
    """
    import fcntl

    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except OSError as error:
        raise UnavailableError(f"{path}: cannot be read ({error}); check whose it is") from error
    return False
