"""`evergreen up --detach`: the same supervisor, without a terminal."""

import subprocess
import sys
import time
from pathlib import Path

from evergreen.cli.console import open_console, shorten
from evergreen.cli.up import START_SECONDS, UpOptions
from evergreen.errors import UnavailableError
from evergreen.settings import Settings
from evergreen.supervisor.logs import START, bound_log, last_lines
from evergreen.supervisor.state import UpState, read_state, up_folder

_PAUSE_SECONDS = 0.2


def start_detached(options: UpOptions, settings: Settings) -> UpState:
    """Start it in a session of its own, and return once everything is up.

    Raises UnavailableError, with the end of what it said, where that does not come; then nothing runs.
    """
    log = up_folder(settings.home) / "logs" / "up.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    bound_log(log)
    with log.open("ab", buffering=0) as output:
        output.write(f"{START}\n".encode())
        process = subprocess.Popen(
            [sys.executable, "-m", "evergreen.cli.main", "up", *_arguments(options)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    state = _wait(process, settings.home, log)
    console = open_console()
    serving = f", serving {state.serving}" if state.serving else ""
    console.print(f"everything is up: Prefect {state.prefect_ui}, MLflow {state.mlflow_ui}{serving}", highlight=False)
    console.print(f"process {state.pid}; log {shorten(log)}; evergreen down stops it", highlight=False)
    return state


def _arguments(options: UpOptions) -> list[str]:
    ports = ["--prefect-port", str(options.prefect_port), "--mlflow-port", str(options.mlflow_port)]
    port = options.serving_port
    ports += ["--no-serve"] if port is None else ["--serve-port", str(port)]
    return [*ports, "--workers", str(options.workers), "--grace", str(options.grace_seconds)]


def _wait(process: "subprocess.Popen[bytes]", home: Path, log: Path) -> UpState:
    try:
        deadline = time.monotonic() + 2 * START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            state = read_state(home)
            if state is not None and state.pid == process.pid and state.ready is not None:
                return state
            time.sleep(_PAUSE_SECONDS)
    except KeyboardInterrupt:
        process.terminate()
        raise
    process.terminate()
    process.wait()
    said = "\n".join(f"  {line}" for line in last_lines(log))
    raise UnavailableError(f"evergreen up did not start; the end of {log}:\n{said}")
