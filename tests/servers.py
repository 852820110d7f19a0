"""Prefect's server as a team runs it: a process of its own, with its services, behind a password."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from evergreen.orchestrator.api import PrefectApi
from evergreen.orchestrator.names import POOL
from evergreen.store.lock import exclusive

# Its services look at once, not when a team would be content with. To know the types of blocks, which no test asks for,
# it would import every integration that is installed.
QUICK = {
    "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",
    "PREFECT_MEMOIZE_BLOCK_AUTO_REGISTRATION": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "1",
    "PREFECT_SERVER_UI_ENABLED": "false",
    "DO_NOT_TRACK": "true",
}
# As Prefect starts a server that is there for one process only: without the services that wake up by themselves.
BRIEF = {"PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
DATABASE = "prefect.db"
# A folder of all processes that test, named by this variable.
SHARED = "TESTS_SHARED_FOLDER"


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


def place_migrated(home: Path) -> None:
    """Put a migrated database into a home of Prefect's that has none: half of what a server's first start takes.

    It is migrated once for all processes that test.
    """
    kept = Path(os.environ[SHARED]) / "prefect"
    with exclusive(kept.with_suffix(".lock"), timeout_seconds=300):
        if not kept.exists():
            half = Path(tempfile.mkdtemp(dir=kept.parent))
            command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"]
            environment = {**bare_environment(), **QUICK, "PREFECT_HOME": str(half)}
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            half.rename(kept)
    if not (home / DATABASE).exists():
        shutil.copytree(kept, home, dirs_exist_ok=True)


@contextmanager
def prefect_server(
    folder: Path, auth: str | None = "eva:s3cret", more: Mapping[str, str] | None = None, port: int | None = None
) -> Iterator[PrefectServer]:
    """A server over a database in a folder, on a free port if none is given, until the block ends.

    `more` is environment.
    """
    home = folder / "prefect"
    home.mkdir(parents=True, exist_ok=True)
    if "PREFECT_API_DATABASE_CONNECTION_URL" not in (more or {}):
        place_migrated(home)
    port = port or free_port()
    environment = {**bare_environment(), **QUICK, "PREFECT_HOME": str(home), **(more or {})}
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


@contextmanager
def process_worker(folder: Path, environment: Mapping[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker of the pool, at work in a folder that is not the project's, until the block ends."""
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process"]
    told = {**environment, "PREFECT_WORKER_QUERY_SECONDS": "2"}
    with (folder / "worker.log").open("w") as log:
        running = subprocess.Popen(command, cwd=folder, env=told, stdout=log, stderr=log, start_new_session=True)
    try:
        yield running
    finally:
        # One that has nothing to do takes its time to notice.
        stop(running, patience_seconds=1)


@contextmanager
def mlflow_server(folder: Path, database: str) -> Iterator[str]:
    """The address of a tracking server over a database, which keeps artifacts in a folder, until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", url.rpartition(":")[2]]
    command += ["--workers", "1", "--backend-store-uri", database, "--artifacts-destination", str(folder / "artifacts")]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "mlflow.log").open("w") as log:
        running = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(lambda: is_well(f"{url}/health"), running)
        yield url
    finally:
        stop(running)


def is_well(url: str) -> bool:
    """True where somebody answers that all is well."""
    with suppress(httpx.TransportError):
        # Certificates take longer to read than a server of this machine takes to answer.
        return httpx.get(url, timeout=5, verify=url.startswith("https")).is_success
    return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(
    question: Callable[[], Any],
    process: "subprocess.Popen[Any] | None" = None,
    seconds: float = 120,
    pause_seconds: float = 0.2,
) -> Any:
    """The first answer that is one: neither None, False nor empty."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process is None or process.poll() is None, "the process has ended"
        if (answer := question()) not in (None, False, [], ()):
            return answer
        time.sleep(pause_seconds)
    raise AssertionError("there was no answer in time")


def stop(process: "subprocess.Popen[Any]", patience_seconds: float = 10) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=patience_seconds)
    process.kill()
    process.wait()
