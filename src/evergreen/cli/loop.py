"""`evergreen loop`: everything for real on this machine, a drift, and what the loop makes of it, in minutes."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evergreen.errors import EvergreenError, UserError
from evergreen.settings import Settings
from evergreen.simulation.kinds import Drift

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from evergreen.simulation.caller import Caller
    from evergreen.spec.model import ModelSpec

_LOOK_SECONDS = 0.5
_PREFIXES = ("PREFECT_", "EVERGREEN_", "MLFLOW_")
_MARK = "loop.txt"
# Half of them the champion learns from, the other half comes as traffic.
_ROWS = 24_000


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(loop)


def loop(
    model: Annotated[str, typer.Argument(help="A spec in configs/ with a time column.")] = "churn",
    drift: Annotated[Drift, typer.Option(help="What happens to live rows.")] = Drift.CONCEPT,
    strength: Annotated[float, typer.Option(min=0, max=1, help="How much of it.")] = 0.5,
    minutes: Annotated[float, typer.Option(min=1, help="It has failed where it is not closed by then.")] = 10,
    quiet: Annotated[int, typer.Option(min=1, help="Windows without a drift before it sets in.")] = 2,
    per_second: Annotated[float, typer.Option(min=10, max=1_000, help="Rows a second.")] = 100.0,
) -> None:
    """Watch the loop close: drift, alert, retraining, promotion, swap, recovery; in a home of its own."""
    from evergreen.cli.console import open_console

    settings = Settings.from_environment()
    console, stage = open_console(), Stage.prepare(model, settings)
    options = LoopOptions(drift, strength, minutes * 60, quiet, per_second)
    try:
        closed = _close(stage, options, console)
    finally:
        stage.evergreen("down")
    sys.exit(0 if closed else 1)


@dataclass(frozen=True)
class LoopOptions:
    """What the command line says."""

    drift: Drift
    strength: float
    seconds: float
    quiet_windows: int
    per_second: float


@dataclass(frozen=True)
class Stage:
    """A home of its own with one spec, for which commands run as for any other; `live` are rows to come."""

    name: str
    spec_file: Path
    settings: Settings
    rows: "pd.DataFrame"

    @classmethod
    def prepare(cls, name: str, settings: Settings) -> "Stage":
        """Empty the stage of an earlier loop, and draw the rows. Raises UserError where a folder of others stands."""
        from evergreen.spec import find_spec
        from evergreen.stages.held_back import labelled_rows
        from evergreen.stages.open import read_spec

        home = settings.home / "loop"
        if home.exists() and not (home / _MARK).exists():
            raise UserError(f"{home}: is not of an earlier loop; move it away")
        rows = labelled_rows(read_spec(name, settings), datetime.now(UTC), settings).tail(_ROWS)
        own = Settings.from_environment({"EVERGREEN_HOME": str(home), "EVERGREEN_CONFIGS": str(home / "configs")})
        stage = cls(name, find_spec(settings.configs, name), own, rows.reset_index(drop=True))
        if home.exists():
            stage.evergreen("down")
            shutil.rmtree(home)
        own.configs.mkdir(parents=True)
        (home / _MARK).write_text("what evergreen loop made, and makes anew each time\n", encoding="utf-8")
        return stage

    @property
    def home(self) -> Path:
        """Where everything of the loop is."""
        return self.settings.home

    @property
    def base(self) -> "pd.DataFrame":
        """Rows that the first champion learns from."""
        return self.rows.iloc[::2]

    @property
    def live(self) -> "pd.DataFrame":
        """Rows that come as traffic."""
        return self.rows.iloc[1::2].reset_index(drop=True)

    def evergreen(self, *arguments: str, log: str = "commands") -> int:
        """Run a command for this home; what it says is in `<log>.log`. Its exit code."""
        with (self.home / f"{log}.log").open("ab") as output:
            command = [sys.executable, "-m", "evergreen.cli.main", *arguments]
            return subprocess.run(command, check=False, env=self.environment, stdout=output, stderr=output).returncode

    @property
    def environment(self) -> Mapping[str, str]:
        """Without the addresses that this shell has: nothing of the loop reaches a server of the team."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(_PREFIXES)}
        return {**own, "EVERGREEN_HOME": str(self.home), "EVERGREEN_CONFIGS": str(self.settings.configs)}

    def write(self, options: LoopOptions, until: datetime) -> "ModelSpec":
        """The spec and its base table, whose newest row is of now."""
        import pandas as pd
        import yaml

        from evergreen.simulation.accelerate import Pace, accelerate
        from evergreen.simulation.rows import move_to
        from evergreen.spec import load_spec

        pace = Pace(rows_per_second=options.per_second, window_rows=round(options.per_second * 12))
        values: dict[str, Any] = yaml.safe_load(self.spec_file.read_text(encoding="utf-8"))
        base, path = self.base, self.home / "base.parquet"
        # As dense as what will come, so that one training sees as much as the next; a small table is spread thin.
        apart = max(1 / options.per_second, pace.window.total_seconds() / len(base))
        seconds = pd.Series(range(len(base), 0, -1)) * apart
        moments = pd.Timestamp(until.replace(tzinfo=None)) - pd.to_timedelta(seconds, unit="s")
        move_to(base.reset_index(drop=True), values["data"].get("time_column"), moments).to_parquet(path, index=False)
        written = self.settings.configs / f"{self.name}.yaml"
        accelerated = accelerate(values, str(path), pace)
        written.write_text(yaml.safe_dump(accelerated, sort_keys=False), encoding="utf-8")
        return load_spec(written)


def _close(stage: Stage, options: LoopOptions, console: "Console") -> bool:
    from evergreen.cli.console import shorten
    from evergreen.cli.links import Links

    begun = time.monotonic()
    console.print(f"a home of its own: {stage.home}; logs and data stay there", highlight=False)
    with console.status("starting Prefect, MLflow, a worker and serving"):
        spec = stage.write(options, datetime.now(UTC))
        _require(stage.evergreen("up", "--detach", *_PORTS), "up", stage)
    with console.status("training the first champion"):
        now = datetime.now(UTC)
        stage.write(options, now)
        _require(stage.evergreen("run", stage.name, "--as-of", now.isoformat()), "run", stage)
    caller = _caller(stage, spec, options)
    links = Links(stage.settings, spec.model, caller, console, begun, begun + options.seconds)
    told = threading.Event()
    traffic = threading.Thread(target=_send, args=(caller, told, links), daemon=True)
    traffic.start()
    try:
        closed = links.close(options.quiet_windows)
    finally:
        told.set()
        traffic.join(timeout=30)
    _require(stage.evergreen("monitor", stage.name, "--report"), "monitor", stage)
    console.print(f"the picture: {shorten(stage.home / 'reports' / spec.model / 'monitoring.html')}", soft_wrap=True)
    return closed


_PORTS: Sequence[str] = ("--prefect-port", "0", "--mlflow-port", "0", "--serve-port", "0", "--workers", "1")


def _require(code: int, what: str, stage: Stage) -> None:
    if code:
        log = stage.home / "commands.log"
        end = "\n".join(f"  {line}" for line in log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:])
        raise EvergreenError(f"evergreen {what} failed; the end of {log}:\n{end}")


def _caller(stage: Stage, spec: "ModelSpec", options: LoopOptions) -> "Caller":
    from evergreen.simulation.caller import Caller, Plan
    from evergreen.simulation.client import Server
    from evergreen.supervisor.state import read_state

    state = read_state(stage.home)
    if state is None or state.serving is None:
        raise EvergreenError(f"{stage.home}: nothing serves; see its logs")
    request_rows = max(1, round(options.per_second / 10))
    plan = Plan(None, options.per_second, request_rows, options.drift, drift_after=None, strength=options.strength)
    server = Server(state.serving, spec.model)
    return Caller(stage.live, spec, plan, server, lambda: datetime.now(UTC), time.sleep)


def _send(caller: "Caller", told: threading.Event, links: Any) -> None:
    try:
        # Within seconds of its promotion the champion is fetched, verified and warmed.
        while not caller.server.is_ready() and not told.is_set():
            time.sleep(_LOOK_SECONDS)
        caller.run(told.is_set)
    except EvergreenError as error:
        links.broken = str(error)
