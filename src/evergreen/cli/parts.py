"""What `evergreen up` starts, as one table."""

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from evergreen.address import redacted
from evergreen.cli.launch import defaults
from evergreen.errors import EvergreenError
from evergreen.orchestrator.api import PrefectApi
from evergreen.orchestrator.names import POOL
from evergreen.settings import Settings
from evergreen.supervisor.part import Part
from evergreen.supervisor.ports import HOST, require_port

_PYTHON = (sys.executable, "-m")
_EVERGREEN = (*_PYTHON, "evergreen.cli.main")
_LOOK_SECONDS = 5.0


@dataclass(frozen=True)
class Places:
    """Where things answer: `prefect` ends in /api; `mlflow` is what runs log to. Ports are None where others serve.

    `serving_port` is None where champions are not served from here.
    """

    prefect: str
    mlflow: str
    prefect_port: int | None
    mlflow_port: int | None
    serving_port: int | None = None

    @property
    def serving(self) -> str | None:
        """Where champions answer."""
        return None if self.serving_port is None else f"http://{HOST}:{self.serving_port}"

    @property
    def prefect_ui(self) -> str:
        """The page of the server, without what is secret."""
        return redacted(self.prefect.removesuffix("/api"))


def choose_places(
    environ: Mapping[str, str], prefect_port: int, mlflow_port: int, serving_port: int | None = None
) -> Places:
    """Servers that the environment names, and ports of this machine for the others; 0 is any free one.

    Raises UserError where a port is taken.
    """
    prefect, mlflow = environ.get("PREFECT_API_URL", "").rstrip("/"), environ.get("MLFLOW_TRACKING_URI", "").rstrip("/")
    own = None if prefect else require_port(prefect_port, "--prefect-port")
    served = None if mlflow.startswith("http") else require_port(mlflow_port, "--mlflow-port")
    answering = None if serving_port is None else require_port(serving_port, "--serve-port")
    tracking = mlflow if served is None else f"http://{HOST}:{served}"
    return Places(prefect or f"http://{HOST}:{own}/api", tracking, own, served, answering)


def shared_environment(settings: Settings, places: Places) -> dict[str, str]:
    """What all children see: the caller's environment, secrets included, with the defaults of an embedded set-up."""
    forced = {
        "EVERGREEN_HOME": str(settings.home),
        "EVERGREEN_CONFIGS": str(settings.configs),
        "PREFECT_API_URL": places.prefect,
        "MLFLOW_TRACKING_URI": places.mlflow,
    }
    # Children write to logs, not to the terminal.
    # The worker runs flows of the folder that we are in: whoever starts us elsewhere may leave another one in PWD.
    quiet = {
        "EVERGREEN_PROJECT": str(Path.cwd()),
        **defaults(settings),
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "INFO",
        "PYTHONUNBUFFERED": "1",
    }
    password = os.environ.get("PREFECT_SERVER_API_AUTH_STRING")
    known = {"PREFECT_API_AUTH_STRING": password} if password else {}
    return {**quiet, **known, **os.environ, **forced}


def table_of_parts(settings: Settings, places: Places, workers: int, now: datetime) -> tuple[Part, ...]:
    """Every child in the order of its start; they are stopped from the last to the first. `now` is before any start."""
    ready = ("prefect", "mlflow", "deploy")
    api = PrefectApi(places.prefect, shared_environment(settings, places).get("PREFECT_API_AUTH_STRING"))
    name = f"up on {platform.node()}"
    work = (*_PYTHON, "prefect", "worker", "start", "--pool", POOL, "--type", "process", "--name", name)
    manners = {
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        # About a minute: a run in the middle of its work outlasts a restart of MLflow's server.
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "6",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "2",
    }
    return (
        _prefect(places),
        Part(
            "databases",
            (*_PYTHON, "evergreen.cli.prepare"),
            once=True,
            vital=True,
            # Before MLflow's server: whoever comes first to its database migrates it, and two at once break it.
            environment={"MLFLOW_TRACKING_URI": settings.tracking_uri},
        ),
        _mlflow(settings, places),
        *_serving(places),
        Part("deploy", (*_EVERGREEN, "deploy"), after=("prefect",), once=True),
        # A message that is being sent may take half a minute; killed in between, it would be sent again.
        Part("tend", (*_EVERGREEN, "tend", "--every", "15"), after=ready, patience_seconds=45),
        Part(
            "worker",
            (*work, "--limit", str(workers)),
            address=f"pool {POOL}, {workers} at once",
            answers=lambda: _works(api, name, now),
            after=ready,
            runs_flows=True,
            environment={name: os.environ.get(name, value) for name, value in manners.items()},
        ),
    )


def _prefect(places: Places) -> Part:
    command = (*_PYTHON, "prefect", "server", "start", "--host", HOST, "--port", str(places.prefect_port))
    return Part(
        "prefect",
        () if places.prefect_port is None else command,
        address=places.prefect_ui,
        answers=lambda: _answers(f"{places.prefect}/health"),
        environment={
            # Else the pages ask the default port for their data.
            "PREFECT_UI_API_URL": "/api",
            # In memory they are lost with a restart, and the slots of running flows with them.
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        },
    )


def _mlflow(settings: Settings, places: Places) -> Part:
    command = (*_PYTHON, "mlflow", "server", "--host", HOST, "--port", str(places.mlflow_port), "--workers", "1")
    return Part(
        "mlflow",
        # Files stay where they are without the server, too. Its log is not for every call that is answered.
        ()
        if places.mlflow_port is None
        else (*command, "--no-serve-artifacts", "--uvicorn-opts", "--log-level warning"),
        address=redacted(places.mlflow),
        # When its server has ended, its command line takes its time to do so.
        patience_seconds=3,
        answers=lambda: _answers(f"{places.mlflow}/health"),
        after=("databases",),
        environment={
            # In the environment, as the address of a database may hold a password.
            "MLFLOW_BACKEND_STORE_URI": settings.tracking_uri,
            "MLFLOW_DEFAULT_ARTIFACT_ROOT": settings.artifacts,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        },
    )


def _serving(places: Places) -> tuple[Part, ...]:
    """What answers with the champions; without one it waits for it, which is no reason to start it again."""
    if places.serving is None:
        return ()
    return (
        Part(
            "serving",
            (*_EVERGREEN, "serve", "--wait", "--host", HOST, "--port", str(places.serving_port)),
            address=places.serving,
            answers=lambda: _answers(f"{places.serving}/health"),
            # A champion is fetched from MLflow.
            after=("mlflow",),
            # Whoever is being answered still is, and what was answered is written down.
            patience_seconds=45,
        ),
    )


def _answers(url: str) -> bool:
    """True where somebody answers, be it to say that we may not come in."""
    import httpx

    try:
        # Certificates take longer to read than a server of this machine takes to answer.
        answer = httpx.get(url, timeout=_LOOK_SECONDS, verify=url.startswith("https"))
        return answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR
    except httpx.HTTPError:
        return False


def _works(api: PrefectApi, name: str, since: datetime) -> bool:
    """True where the worker has told the server that it is there, after a moment: the name is that of earlier ones."""
    try:
        return any(worker.name == name and (worker.last_heartbeat or since) > since for worker in api.workers(POOL))
    except EvergreenError:
        return False
