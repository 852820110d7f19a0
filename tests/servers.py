"""Prefect's server as a team runs it: a process of its own, with its services, behind a password."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evergreen.orchestrator.api import PrefectApi

# Its services look at once, not when a team would be content with.
QUICK = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "1",
    "PREFECT_SERVER_UI_ENABLED": "false",
    "DO_NOT_TRACK": "true",
}


@dataclass(frozen=True)
class PrefectServer:
    """A server that runs, and the environment of a process that talks to it (added to one without PREFECT_ names)."""

    api: PrefectApi
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PREFECT_API_URL": self.api.url,
            "PREFECT_API_AUTH_STRING": self.api.auth or "",
            "PREFECT_HOME": str(self.home / "client"),
            "DO_NOT_TRACK": "true",
        }


def bare_environment() -> dict[str, str]:
    """This process's environment without what it says about Prefect."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}


@contextmanager
def prefect_server(
    folder: Path, auth: str | None = "eva:s3cret", more: Mapping[str, str] | None = None, port: int | None = None
) -> Iterator[PrefectServer]:
    """A server over a database in a folder, on a free port if none is given, until the block ends.

    `more` is environment.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    environment = {**bare_environment(), **QUICK, "PREFECT_HOME": str(folder / "prefect"), **(more or {})}
    if auth:
        environment["PREFECT_SERVER_API_AUTH_STRING"] = environment["PREFECT_API_AUTH_STRING"] = auth
    factory = ["--factory", "prefect.server.api.server:create_app", "--host", "127.0.0.1", "--port", str(port)]
    command = [sys.executable, "-m", "uvicorn", *factory, "--log-level", "error", "--lifespan", "on"]
    with (folder / "server.log").open("w") as log:
        running = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        server = PrefectServer(PrefectApi(f"http://127.0.0.1:{port}/api", auth), folder)
        wait_for(server.api.health, running)
        yield server
    finally:
        stop(running)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(question: Callable[[], Any], process: "subprocess.Popen[Any] | None" = None, seconds: float = 120) -> Any:
    """The first answer that is one: neither None, False nor empty."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process is None or process.poll() is None, "the process has ended"
        if (answer := question()) not in (None, False, [], ()):
            return answer
        time.sleep(0.2)
    raise AssertionError("there was no answer in time")


def stop(process: "subprocess.Popen[Any]") -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=10)
    process.kill()
    process.wait()
