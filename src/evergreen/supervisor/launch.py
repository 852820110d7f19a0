"""How children come into the world: in a session of their own, marked as ours, with a log."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evergreen.supervisor.logs import START, bound_log
from evergreen.supervisor.part import Part
from evergreen.supervisor.processes import MARK, Process, birth


@dataclass(frozen=True)
class Launch:
    """Where children work and write, and the environment they share. `mark` names the supervisor and its home."""

    project: Path
    logs: Path
    environment: Mapping[str, str]
    mark: str

    def log(self, part: Part) -> Path:
        """The file that holds what a part says."""
        return self.logs / f"{part.name}.log"

    def spawn(self, part: Part) -> Process:
        """Start a part. Ctrl-C of the terminal does not reach its session."""
        log = self.log(part)
        log.parent.mkdir(parents=True, exist_ok=True)
        bound_log(log)
        with log.open("ab", buffering=0) as output:
            output.write(f"{START}\n".encode())
            return subprocess.Popen(
                part.command,
                cwd=self.project,
                env={**self.environment, **part.environment, MARK: self.mark},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )


def mark_of(home: Path) -> str:
    """The mark of what this process starts for a home."""
    return f"{os.getpid()}/{birth(os.getpid())}@{home}"


def is_of_home(mark: str, home: Path) -> bool:
    """True for what any supervisor of the home has started.

    >>> is_of_home("12/34@/srv/a@b", Path("/srv/a@b")), is_of_home("12/34@/srv/a@b", Path("b"))
    (True, False)
    """
    return mark.partition("@")[2] == str(home)
