"""Turns beside an SQLite store: a lock file each, which says in JSON who holds it."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from evergreen.errors import UnavailableError
from evergreen.store.lock import attempt, is_locked, is_still_at

# Who looks at a lock holds it for an instant: whoever takes a turn looks a few times before others have it.
_LOOKS = 5
_PAUSE_SECONDS = 0.01
_UNKNOWN = "unknown"


@contextmanager
def attempted(path: Path, holder: str, now: datetime) -> Iterator[Callable[[], bool] | None]:
    """Hold the turn at `path` and write who does; yields what tells whether it is still held, None where others do."""
    with ExitStack() as stack:
        file = _first(stack, path)
        if file is None:
            yield None
            return
        _write(file, path, json.dumps({"holder": holder, "since": now.astimezone(UTC).isoformat()}))
        stack.callback(_erase, file)
        yield lambda: is_still_at(file, path)


def holder(path: Path) -> tuple[str, datetime] | None:
    """Who holds the turn at `path` since when. What a dead holder left in the file is not believed."""
    for _ in range(_LOOKS):
        if not is_locked(path):
            return None
        if found := _read(path):
            return found
        time.sleep(_PAUSE_SECONDS)  # it was locked just now, and is written next
    return _UNKNOWN, datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _first(stack: ExitStack, path: Path) -> BinaryIO | None:
    for look in range(_LOOKS):
        if look:
            time.sleep(_PAUSE_SECONDS)
        if file := stack.enter_context(attempt(path)):
            return file
    return None


def _write(file: BinaryIO, path: Path, text: str) -> None:
    line = f"{text}\n".encode()
    try:
        os.pwrite(file.fileno(), line, 0)
        os.ftruncate(file.fileno(), len(line))
    except OSError as error:
        raise UnavailableError(f"{path}: cannot be written ({error}); make room for it") from error


def _erase(file: BinaryIO) -> None:
    os.ftruncate(file.fileno(), 0)


def _read(path: Path) -> tuple[str, datetime] | None:
    # Whoever reads while it is written sees half a line at most, which is no JSON.
    try:
        told = json.loads(path.read_text(encoding="utf-8").partition("\n")[0])
        return told["holder"], datetime.fromisoformat(told["since"])
    except (OSError, ValueError):
        return None
