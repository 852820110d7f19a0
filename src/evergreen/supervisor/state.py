"""Who runs `evergreen up` for a home, and where its parts answer: one small file, for everybody who asks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evergreen.files import read_json, write_json
from evergreen.supervisor.processes import birth


@dataclass(frozen=True)
class UpState:
    """A supervisor that lives. `prefect` ends in /api; `mlflow_ui` is None where nobody serves MLflow, and `serving`
    where no champions are served.

    `children` are the ids of the processes it started, by name; `ready` is when all of them answered first.
    """

    pid: int
    prefect: str
    prefect_ui: str
    mlflow_ui: str | None
    started_at: datetime
    children: Mapping[str, int] = field(default_factory=dict)
    ready: datetime | None = None
    serving: str | None = None


def up_folder(home: Path) -> Path:
    """Where a home's supervisor keeps what it knows, and its logs."""
    return home / "up"


def write_state(home: Path, state: UpState) -> None:
    """Tell who runs, whole or not at all. The birth of the process is noted with its id."""
    values: dict[str, Any] = {
        "pid": state.pid,
        "born": birth(state.pid),
        "prefect": state.prefect,
        "prefect_ui": state.prefect_ui,
        "mlflow_ui": state.mlflow_ui,
        "serving": state.serving,
        "started_at": state.started_at.isoformat(),
        "children": dict(state.children),
        "ready": state.ready.isoformat() if state.ready else None,
    }
    write_json(_file(home), values)


def read_state(home: Path) -> UpState | None:
    """Who runs `evergreen up` for this home; None where nobody does, whatever a file of the past says."""
    values = read_json(_file(home))
    if values is None or values.get("born") is None or birth(values["pid"]) != values["born"]:
        return None
    return UpState(
        values["pid"],
        values["prefect"],
        values["prefect_ui"],
        values["mlflow_ui"],
        _moment(values["started_at"]),
        values["children"],
        _moment(values["ready"]) if values["ready"] else None,
        values.get("serving"),
    )


def forget_state(home: Path) -> None:
    """Nobody runs any more."""
    _file(home).unlink(missing_ok=True)


def _file(home: Path) -> Path:
    return up_folder(home) / "state.json"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
