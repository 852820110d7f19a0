"""Which commit of the project a run is made with."""

import subprocess
from pathlib import Path

_COMMAND = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]


def find_commit(folder: Path) -> str | None:
    """The commit checked out in a folder, with `-dirty` where files differ from it; None outside a checkout."""
    try:
        done = subprocess.run(_COMMAND, cwd=folder, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
