"""What children say: one file each, of bounded size."""

import shutil
from pathlib import Path

MOST_BYTES = 5_000_000
START = "--- started ---"
_LAST_BYTES = 20_000


def bound_log(path: Path, most_bytes: int = MOST_BYTES) -> None:
    """Move a log that has grown too long aside, over the one before. Who writes to it in append mode goes on."""
    if path.exists() and path.stat().st_size > most_bytes:
        shutil.copyfile(path, path.with_name(f"{path.name}.1"))
        with path.open("r+b") as file:
            file.truncate(0)


def last_lines(path: Path, count: int = 15) -> tuple[str, ...]:
    """The end of a log since the last start in it, without empty lines; none where there is no log."""
    if not path.exists():
        return ()
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _LAST_BYTES))
        text = file.read().decode(errors="replace")
    lines = [line.rstrip() for line in text.rpartition(f"{START}\n")[2].splitlines()]
    return tuple(line for line in lines if line)[-count:]
