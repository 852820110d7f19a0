"""Which Prefect server a command talks to; and one for the length of the command, where nobody has set up another.

Prefect starts such a server itself, but in the terminal's own process group: Ctrl-C then stops the server together with
the run, which cannot say any more that it was stopped and tries for minutes.
"""

import atexit
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from evergreen.errors import UnavailableError, UserError
from evergreen.settings import Settings
from evergreen.supervisor.ports import free_port
from evergreen.supervisor.state import read_state, up_folder

if TYPE_CHECKING:
    from evergreen.orchestrator.api import PrefectApi

# Whoever sets one of these has a server, or a profile that says where one is.
CHOICES = ("PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_HOME")
# A first start migrates Prefect's database: 12 s of CPU, longer on a busy machine.
_PATIENCE_SECONDS = 120.0
# As Prefect's own temporary server: no pages, no services that belong to a lasting one. Nor types of blocks, to find
# which every integration is imported that is installed; a lasting one registers them when it starts, as no memo says
# that this one has.
_TEMPORARY = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
    "PREFECT_API_BLOCKS_REGISTER_ON_START": "0",
    "PREFECT_MEMOIZE_BLOCK_AUTO_REGISTRATION": "0",
}


def is_chosen(environment: Mapping[str, str]) -> bool:
    """True where the environment says which server to use.

    >>> is_chosen({"PREFECT_API_URL": "http://prefect:4200/api"}), is_chosen({})
    (True, False)
    """
    return any(environment.get(name) for name in CHOICES)


def known_server(settings: Settings, environ: Mapping[str, str]) -> "PrefectApi | None":
    """The server that the environment names, else the one of `evergreen up` in this home; None without either."""
    from evergreen.orchestrator.api import PrefectApi, password_of

    if (named := PrefectApi.from_environment(environ)) is not None:
        return named
    up = read_state(settings.home)
    return PrefectApi(up.prefect, password_of(environ)) if up else None


def require_server(settings: Settings, environ: Mapping[str, str]) -> "PrefectApi":
    """The known server, which answers and lets us in.

    Raises UserError where none is known or the password is wrong, UnavailableError where it does not answer.
    """
    api = known_server(settings, environ)
    if api is None:
        raise UserError("no Prefect server: start `evergreen up`, or set PREFECT_API_URL to one that runs")
    api.require()
    return api


def require_chosen(environ: Mapping[str, str]) -> None:
    """Ask the server that PREFECT_API_URL names, where it names one: Prefect would answer with tracebacks.

    Raises as `require_server` does.
    """
    from evergreen.orchestrator.api import PrefectApi

    if (api := PrefectApi.from_environment(environ)) is not None:
        api.require()


def start_server(settings: Settings) -> Callable[[], None]:
    """Start a server, point the environment at it, and return what waits until it answers.

    It ends with this process, after everything that was registered later has said its last to it. Where `evergreen up`
    runs for the home, its server is used: a second one over the same database would lock the first one out.
    """
    if (up := read_state(settings.home)) is not None:
        os.environ["PREFECT_API_URL"] = up.prefect
        log = up_folder(settings.home) / "logs" / "prefect.log"
        return lambda: _wait(lambda: read_state(settings.home) is not None, up.prefect, log)
    log = settings.home / "prefect" / "server.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    port = free_port()
    with log.open("w") as output:
        server = subprocess.Popen(
            _command(port),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **_TEMPORARY},
            start_new_session=True,
        )
    atexit.register(_stop, server)
    address = f"http://127.0.0.1:{port}/api"
    # A page of this server would be gone before anybody can open it.
    os.environ.update({"PREFECT_API_URL": address, "PREFECT_UI_URL": "none"})
    return lambda: _wait(lambda: server.poll() is None, address, log)


def _command(port: int) -> list[str]:
    # Found, not imported: that takes seconds, which the server spends beside us.
    found = find_spec("prefect")
    folder = str(Path(found.origin).parent) if found is not None and found.origin else "."
    where = ["--app-dir", folder, "--factory", "prefect.server.api.server:create_app"]
    return [
        *(sys.executable, "-m", "evergreen.cli.server", *where, "--host", "127.0.0.1", "--port", str(port)),
        *("--log-level", "error", "--lifespan", "on"),
    ]


def _wait(lives: Callable[[], bool], address: str, log: Path) -> None:
    from evergreen.orchestrator.api import PrefectApi

    api, deadline = PrefectApi(address), time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline and lives():
        if api.health():
            return
        time.sleep(0.1)
    raise UnavailableError(f"Prefect's server does not start; see {log}, or set PREFECT_API_URL to one that runs")


def _stop(server: "subprocess.Popen[bytes]") -> None:
    server.terminate()
    try:
        server.wait(timeout=5)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _main() -> None:
    """Be uvicorn, and end with the process that started this one, however it dies."""
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    runpy.run_module("uvicorn", run_name="__main__", alter_sys=True)


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    _main()
