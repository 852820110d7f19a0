"""`evergreen up`: start everything, show how it is, and stop it when told to."""

import os
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from evergreen.address import redacted
from evergreen.cli.board import Board
from evergreen.cli.console import open_console, shorten
from evergreen.cli.parts import Places, choose_places, shared_environment, table_of_parts
from evergreen.cli.settle import settle_runs
from evergreen.cli.signals import Requests, stop_requests
from evergreen.errors import UserError
from evergreen.orchestrator.api import PrefectApi
from evergreen.settings import Settings
from evergreen.supervisor.child import Child
from evergreen.supervisor.claim import claim, end_leftovers
from evergreen.supervisor.launch import Launch, mark_of
from evergreen.supervisor.logs import last_lines
from evergreen.supervisor.part import State
from evergreen.supervisor.state import UpState, forget_state, up_folder, write_state
from evergreen.supervisor.supervise import Haste, Supervisor

# A first start migrates two databases: half a minute, longer on a busy machine.
START_SECONDS = 240.0
_STEP_SECONDS = 0.5
_LOG_SECONDS = 600.0
_LINES = 5


@dataclass(frozen=True)
class UpOptions:
    """What the command line says. Ports are 0 for any that is free; without one for serving nothing is served."""

    prefect_port: int = 4200
    mlflow_port: int = 5000
    workers: int = 1
    grace_seconds: float = 30.0
    serving_port: int | None = 8000


def run_up(options: UpOptions, settings: Settings) -> None:
    """Be the supervisor of the home until somebody says stop.

    Raises UserError for a second one or a port that is taken, UnavailableError where a part does not start.
    """
    project = Path.cwd()
    if not (project / "flows").is_dir():
        raise UserError(f"{project}: no flows/ here; run evergreen from the project's folder")
    with claim(settings.home), stop_requests() as requests:
        left = end_leftovers(settings.home, time.monotonic, requests.wait)
        places = choose_places(os.environ, options.prefect_port, options.mlflow_port, options.serving_port)
        launch = Launch(
            project, up_folder(settings.home) / "logs", shared_environment(settings, places), mark_of(settings.home)
        )
        run = _Run(settings, places, launch, options, requests)
        run.greet(left)
        run.until_told()


class _Run:
    """One life of a supervisor, as people and the state file see it."""

    def __init__(
        self, settings: Settings, places: Places, launch: Launch, options: UpOptions, requests: Requests
    ) -> None:
        self._home, self._options, self._requests, self._launch = settings.home, options, requests, launch
        self._board = Board(open_console(), lambda: datetime.now().astimezone(), time.monotonic)
        now = datetime.now(UTC)
        prefect, mlflow = redacted(places.prefect), redacted(places.mlflow)
        self._state = UpState(os.getpid(), prefect, places.prefect_ui, mlflow, now, serving=places.serving)
        self._api = PrefectApi(places.prefect, launch.environment.get("PREFECT_API_AUTH_STRING"))
        parts = table_of_parts(settings, places, options.workers, now)
        self._supervisor = Supervisor(parts, launch, time.monotonic, requests.wait, self._changed)

    def greet(self, left: int) -> None:
        self._board.say(f"starting everything for {shorten(self._home)}; Ctrl-C stops it", "bold")
        if left:
            self._board.say(f"ended {left} processes that an earlier evergreen up had left", "yellow")

    def until_told(self) -> None:
        write_state(self._home, self._state)
        looked = time.monotonic()
        try:
            while not self._requests.count:
                self._supervisor.step()
                self._settle()
                if time.monotonic() - looked > _LOG_SECONDS:
                    self._supervisor.bound_logs()
                    looked = time.monotonic()
                self._requests.wait(_STEP_SECONDS)
            self._board.say("stopping")
        finally:
            haste = Haste(self._options.grace_seconds, lambda: self._requests.count > 1)
            self._supervisor.stop(haste, self._board.say, lambda runs: settle_runs(self._api, runs, self._board.say))
            forget_state(self._home)
            self._board.close()
        self._board.say("everything is stopped", "bold")

    def _settle(self) -> None:
        """Note the moment from which everything is up; complain where that does not come."""
        if self._state.ready is not None:
            return
        self._supervisor.require_start(START_SECONDS)
        if self._supervisor.ready:
            self._note(ready=datetime.now(UTC))
            failed = [child.part.name for child in self._supervisor.children if child.state is State.FAILED]
            but = f", but {' and '.join(failed)} failed: mend it, then run evergreen deploy" if failed else ""
            self._board.say(f"everything is up{but}; logs are in {shorten(self._launch.logs)}", "bold")
            self._board.print_table(self._supervisor.children)

    def _changed(self, child: Child) -> None:
        self._board.tell(child)
        if child.state is State.FAILED:
            for line in last_lines(self._launch.log(child.part), _LINES):
                self._board.say(f"  {line}", "dim")
        self._note(ready=self._state.ready)
        self._board.show(self._supervisor.children)

    def _note(self, ready: datetime | None) -> None:
        children = {child.part.name: child.pid for child in self._supervisor.children if child.pid is not None}
        self._state = replace(self._state, children=children, ready=ready)
        write_state(self._home, self._state)
