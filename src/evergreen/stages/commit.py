"""Which commit of the project a run is made with."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

_COMMAND = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]


def find_commit(folder: Path, environ: Mapping[str, str] = os.environ) -> str | None:
    """The commit checked out in a folder, with `-dirty` where files differ from it.

    Outside a checkout, as in an image, it is what EVERGREEN_COMMIT says; None where that is silent, too.
    """
    told = environ.get("EVERGREEN_COMMIT") or None
    try:
        done = subprocess.run(_COMMAND, cwd=folder, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return told
    return done.stdout.strip() or told if done.returncode == 0 else told
