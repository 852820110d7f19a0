"""Run a flow of this project in this process, with embedded defaults for everything nobody configured."""

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.errors import UserError
from evergreen.settings import Settings

if TYPE_CHECKING:
    from evergreen.supervisor.state import UpState


def defaults(settings: Settings) -> Mapping[str, str]:
    """Environment variables that make every vendor keep its state under one home, quietly; set ones win."""
    return {
        "EVERGREEN_HOME": str(settings.home),
        "EVERGREEN_CONFIGS": str(settings.configs),
        "PREFECT_HOME": str(settings.home / "prefect"),
        # A first start migrates Prefect's database: 12 s of CPU, longer on a busy machine.
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "evergreen",
        # The terminal shows Evergreen's own lines; Prefect's stand in its UI.
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "passive",
    }


@contextmanager
def environment(settings: Settings) -> Iterator[None]:
    """The process environment with `defaults` filled in, put back afterwards; creates the home.

    Raises UserError where the home cannot be created.
    """
    missing = {key: value for key, value in defaults(settings).items() if key not in os.environ}
    # Relative paths in these two were made absolute: tasks may run in another folder.
    missing |= {key: defaults(settings)[key] for key in ("EVERGREEN_HOME", "EVERGREEN_CONFIGS")}
    missing |= _password(os.environ)
    before = {key: os.environ.get(key) for key in missing}
    # Prefect creates its home, but not the folders above it, and then waits in vain for its server.
    _create(settings.home)
    os.environ.update(missing)
    try:
        yield
    finally:
        for key, value in before.items():
            os.environ.pop(key, None) if value is None else os.environ.__setitem__(key, value)


def _password(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Prefect's client does not read the variable of its server."""
    from evergreen.orchestrator.api import password_of

    known = password_of(environ)
    return {"PREFECT_API_AUTH_STRING": known} if known else {}


def use_running_server(settings: Settings) -> "UpState | None":
    """Point the environment at the server of `evergreen up`, where that runs for this home and its server answers.

    Before Prefect is imported: it reads its environment once. Raises Refused where the server asks for a password.
    """
    from evergreen.orchestrator.api import PrefectApi, password_of
    from evergreen.supervisor.state import read_state

    state = read_state(settings.home)
    if state is None:
        return None
    api = PrefectApi(state.prefect, password_of(os.environ))
    if not api.health():
        return None
    api.require()
    os.environ.update({**api.environment, "PREFECT_UI_URL": state.prefect_ui})
    return state


def _create(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"EVERGREEN_HOME: {home} cannot be created ({error.strerror}); name a folder that can be written"
        raise UserError(message) from error


def load_flow(name: str, project: Path) -> Callable[..., Any]:
    """The flow `flows/<name>.py:<name>` of the project in a folder; raises UserError where there is none."""
    if not (project / "flows" / f"{name}.py").is_file():
        raise UserError(f"{project}: no flows/{name}.py here; run evergreen from the project's folder")
    if str(project) not in sys.path:
        sys.path.insert(0, str(project))
    # By name, so that the library stays true without an orchestrator.
    flow: Callable[..., Any] = getattr(importlib.import_module(f"flows.{name}"), name)
    return flow
