"""`evergreen up` for tests: the servers, a worker and the tending loop of a project, on free ports."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from evergreen.orchestrator.api import PrefectApi
from evergreen.supervisor.launch import is_of_home
from evergreen.supervisor.processes import Marked, marked_processes
from evergreen.supervisor.state import UpState, read_state
from tests.servers import place_migrated, wait_for

REPOSITORY = Path(__file__).parents[1]
PREFIXES = ("PREFECT_", "EVERGREEN_", "MLFLOW_")
# On a machine that does many things at once.
_START_SECONDS = 240


@dataclass(frozen=True)
class Machine:
    """A project's folder with its `home/`, and the `evergreen up` that runs for it."""

    folder: Path
    process: "subprocess.Popen[str]"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def state(self) -> UpState:
        """Addresses and process ids, as they are now."""
        state = read_state(self.home)
        assert state is not None, self.said
        return state

    @property
    def api(self) -> PrefectApi:
        return PrefectApi(self.state.prefect)

    @property
    def said(self) -> str:
        """What `evergreen up` has printed."""
        return (self.folder / "up.txt").read_text()

    @property
    def living(self) -> tuple[Marked, ...]:
        """Processes of this project that live, flow runs included."""
        return tuple(found for found in marked_processes() if is_of_home(found.mark, self.home))

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)


def environment(folder: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Of commands that are run for a project; nothing of this process's own addresses is in it."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(PREFIXES)}
    places = {"EVERGREEN_HOME": str(folder / "home"), "EVERGREEN_CONFIGS": str(folder / "configs")}
    return {**own, **places, "MLFLOW_DISABLE_TELEMETRY": "true", "COLUMNS": "200", **(more or {})}


def evergreen(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command in a project's folder."""
    command = [sys.executable, "-m", "evergreen.cli.main", *arguments]
    options = {"cwd": folder, "env": environment(folder), "capture_output": True, "text": True}
    return subprocess.run(command, check=False, timeout=600, **options)  # type: ignore[call-overload, no-any-return]


def copy_code(folder: Path) -> None:
    """The repository's flows, tasks and automations, in a project's folder."""
    leave = shutil.ignore_patterns("__pycache__")
    for name in ("flows", "tasks", "deployments/automations"):
        shutil.copytree(REPOSITORY / name, folder / name, dirs_exist_ok=True, ignore=leave)


@contextmanager
def running_project(folder: Path, *options: str, more: Mapping[str, str] | None = None) -> Iterator[Machine]:
    """`evergreen up` for a folder with configs/ and tables, from when all is up until the block ends.

    The repository's flows, tasks and automations are copied beside them. `more` is environment.
    """
    copy_code(folder)
    place_migrated(folder / "home" / "prefect")
    ports = [f"--{name}-port=0" for name in ("prefect", "mlflow", "serve")]
    command = [sys.executable, "-m", "evergreen.cli.main", "up", *ports, *options]
    with (folder / "up.txt").open("a") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment(folder, more), stdout=output, stderr=output, text=True
        )
    machine = Machine(folder, process)
    try:
        wait_for(lambda: process.poll() is not None or _is_ready(machine), seconds=_START_SECONDS)
        assert process.poll() is None, machine.said
        yield machine
    finally:
        machine.interrupt()
        try:
            process.wait(timeout=120)
        except subprocess.TimeoutExpired:
            # Its guard ends the rest.
            process.kill()
            process.wait()


def _is_ready(machine: Machine) -> bool:
    state = read_state(machine.home)
    return state is not None and state.ready is not None
