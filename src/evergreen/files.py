"""Files that are either whole or not there, and the digests that name them."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any


def write_whole(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Let `write` fill a file beside `path`, then rename it: a reader, or a crash, never sees a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
        # Temporary files are their owner's alone.
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a small JSON file, whole."""
    write_whole(path, lambda file: file.write(json.dumps(values, sort_keys=True).encode()))


def read_json(path: Path) -> dict[str, Any] | None:
    """What `write_json` wrote; None when the file is not there or holds something else."""
    try:
        values = json.loads(path.read_bytes())
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
        return None
    return values if isinstance(values, dict) else None


def file_digest(path: Path) -> str:
    """sha256 of a file's content."""
    with path.open("rb") as file:
        return open_digest(file)


def open_digest(file: Any) -> str:
    """sha256 of what is left to read of an open file."""
    return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(values: Any) -> str:
    """sha256 over plain values; tuples and lists are the same, the order of keys does not matter.

    >>> digest_of({"a": (1, 2), "b": None}) == digest_of({"b": None, "a": [1, 2]})
    True
    """
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
