"""Processes of this machine: who they are, which of them are ours, and their end."""

import os
import signal
import subprocess
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

# In the environment of all that a supervisor starts, and of all that those start, in whatever session and below
# whatever parent: `<supervisor>@<home>`.
MARK = "EVERGREEN_UP"
# Prefect's, in the environment of a flow run's process.
_FLOW_RUN = "PREFECT__FLOW_RUN_ID"
_PAUSE_SECONDS = 0.1
# After a SIGKILL only the kernel can be slow.
_LAST_SECONDS = 5.0

Process = subprocess.Popen[bytes]
Clock = Callable[[], float]
Wait = Callable[[float], None]

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


@dataclass(frozen=True)
class Marked:
    """A living process that a supervisor, now or once, has started by itself or through others.

    `flow_run` is the id of the run that it works for; None where it works for none. `leads` says that it began a
    session: of all processes of a flow run, the first one does.
    """

    pid: int
    mark: str
    flow_run: str | None
    leads: bool


def marked_processes() -> tuple[Marked, ...]:
    """All of them, of this user, but the one that asks; none where the system has no /proc."""
    found = (_marked(folder) for folder in Path("/proc").glob("[0-9]*") if folder.name != str(os.getpid()))
    return tuple(process for process in found if process)


def _marked(folder: Path) -> Marked | None:
    try:
        text, pid = os.fsdecode((folder / "environ").read_bytes()), int(folder.name)
        leads = os.getsid(pid) == pid
    except OSError:
        # Gone meanwhile, or somebody else's.
        return None
    variables = dict(variable.split("=", 1) for variable in text.split("\0") if "=" in variable)
    mark = variables.get(MARK)
    return Marked(pid, mark, variables.get(_FLOW_RUN), leads) if mark else None


def tell(pid: int, number: signal.Signals, group: bool = False) -> None:
    """Send a signal to a process, or to its group; one that is gone is left alone."""
    try:
        os.killpg(pid, number) if group else os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def end(find: Callable[[], Collection[int]], patience: Callable[[], float], clock: Clock, wait: Wait) -> bool:
    """Ask all that `find` gives, now and while this lasts, to end; kill what is there when the patience is over.

    `patience` gives seconds since the start of this call, and is asked again and again: it may shrink. True where
    nothing had to be killed.
    """
    started, told, asked_nicely = clock(), set[int](), True
    while living := set(find()):
        over = clock() - started - patience()
        if over > _LAST_SECONDS:
            return False
        if over >= 0:
            asked_nicely = False
        for pid in living if over >= 0 else living - told:
            tell(pid, signal.SIGKILL if over >= 0 else signal.SIGTERM)
        told |= living
        wait(_PAUSE_SECONDS)
    return asked_nicely
