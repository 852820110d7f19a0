"""Processes by id and birth: an id alone is given away again when its process is gone."""

import os
import subprocess
from pathlib import Path

_STATE, _BIRTH = 0, 19  # fields of /proc/<pid>/stat after the name, as in proc(5), counted from 3
_DEAD = "ZX"


def birth(pid: int) -> str | None:
    """When a process was born, in words of this machine; None where no such process lives.

    Two processes that share an id, one after the other, never share this. A zombie is dead.

    >>> birth(os.getpid()) == birth(os.getpid()) != None
    True
    >>> birth(2**22 + 1) is None
    True
    """
    proc = Path("/proc")
    return _birth_in(proc, pid) if (proc / "self" / "stat").exists() else _birth_by_ps(pid)


def _birth_in(proc: Path, pid: int) -> str | None:
    try:
        # The name stands in parentheses and may hold any character, parentheses included.
        fields = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
        boot = (proc / "sys" / "kernel" / "random" / "boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[_STATE] in _DEAD else f"{boot}/{fields[_BIRTH]}"


def _birth_by_ps(pid: int) -> str | None:
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    asked = {**os.environ, "LC_ALL": "C"}
    state, _, born = subprocess.run(command, env=asked, capture_output=True, text=True, check=False).stdout.partition(
        " "
    )
    return born.strip() or None if state[:1] not in ("", *_DEAD) else None
