"""Flows run by a Prefect that is there for this session only."""

import importlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def retrain(orchestrator: str) -> Any:
    """The flow, imported only now that Prefect has its own database."""
    return importlib.import_module("flows.retrain").retrain


@pytest.fixture
def flow_run(orchestrator: str) -> Callable[[str], Any]:
    """What Prefect knows about a flow run: name, tags, state, task runs in order of their start, and artifacts."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, FlowRunFilter, FlowRunFilterId

    def look(run_id: str) -> dict[str, Any]:
        with get_client(sync_client=True) as client:
            only = FlowRunFilter(id=FlowRunFilterId(any_=[run_id]))
            tasks = client.read_task_runs(flow_run_filter=only)
            artifacts = client.read_artifacts(
                artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
            )
            run = client.read_flow_run(run_id)
            return {
                "name": run.name,
                "tags": run.tags,
                "state": run.state,
                "tasks": sorted(tasks, key=lambda run: run.start_time or run.created),
                "artifacts": {artifact.key: artifact.data for artifact in artifacts},
            }

    return look


@pytest.fixture
def shipped(project: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """A project with the specs of this repository and an empty home; paths in specs start at the repository."""
    for spec in (REPOSITORY / "configs").glob("*.yaml"):
        shutil.copy(spec, project.settings.configs)
    monkeypatch.chdir(REPOSITORY)
    return lambda model: type(project)(project.folder, model)
