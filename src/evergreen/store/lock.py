"""One process at a time, by a lock file that the operating system frees when its holder dies."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evergreen.errors import UnavailableError

_PAUSE_SECONDS = 0.05


@contextmanager
def exclusive(path: Path, timeout_seconds: float = 120.0) -> Iterator[None]:
    """Hold the lock file at `path`, created with its folder. Raises UnavailableError if others hold it for too long.

    The file stays behind on purpose: removing it would let two processes lock two files of the same name.
    """
    import fcntl

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        raise UnavailableError(f"{path}: cannot be locked ({error}); check that its folder can be written") from error
    with file:
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    message = f"{path}: held by another process for over {timeout_seconds:g} s; wait for it or stop it"
                    raise UnavailableError(message) from error
                time.sleep(_PAUSE_SECONDS)
        yield
