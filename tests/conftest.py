"""Projects, servers and databases for every test."""

import os
from collections.abc import Callable, Iterator
from contextlib import chdir
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

# Whoever imports numpy first decides for the process; threads of BLAS fight over the cores of a small machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")

import pandas as pd
import pytest

from evergreen.registry import smoke
from evergreen.spec import ModelSpec
from evergreen.stages.open import connect
from evergreen.training import key
from tests import servers
from tests.machine import Machine, running_project
from tests.postgres import Cluster, postgres
from tests.project import ADDRESSES, FIRST, SECOND, Project, copy_project, shoppers, tiny_spec
from tests.succession import live_on
from tests.tally import write_table
from tests.warm import Smoke

# What takes minutes comes first: what is begun last must be short, or one worker ends long after the others.
LONGEST = (
    "tests/cli/test_loop.py",
    "tests/faults/test_killed_on_postgresql.py",
    "tests/tasks/test_runners.py",
    "tests/system/test_starts.py",
    "tests/faults/test_killed.py",
    "tests/faults/test_registry_fails.py",
    "tests/flows/test_shipped_specs.py",
    "tests/cli/test_run_command.py",
    "tests/flows/test_retrain.py",
    "tests/orchestrator/test_deploy.py",
    "tests/deployments/test_start.py",
    "tests/cli/test_up.py",
    "tests/stages/states/test_sequences.py",
    "tests/faults/test_people_killed.py",
    "tests/faults/test_crowded.py",
    "tests/cli/test_reproduce.py",
)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Here and not beside the faults: the process that sums up reads no other file of fixtures."""
    write_table(terminalreporter)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; `--no-loadscope-reorder` keeps them there."""
    rank = {Path(__file__).parents[1] / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(LONGEST)))


@pytest.fixture(scope="session")
def first_moment() -> datetime:
    """Three months of shoppers are known."""
    return FIRST


@pytest.fixture(scope="session")
def second_moment() -> datetime:
    """A month later."""
    return SECOND


@pytest.fixture(scope="session")
def shopper_table() -> Callable[..., pd.DataFrame]:
    return shoppers


@pytest.fixture(scope="session")
def small_spec() -> Callable[[str], dict[str, Any]]:
    return tiny_spec


@pytest.fixture(scope="session", autouse=True)
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is the same for all processes that test, and is made once, lies here."""
    own = tmp_path_factory.getbasetemp()
    os.environ[servers.SHARED] = str(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own)


@pytest.fixture(scope="session", autouse=True)
def warm_smoke_tests() -> Iterator[None]:
    """Smoke tests are made in processes that are forked from a warm one; their own tests start them cold."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(smoke, "subprocess", Smoke())
        yield


@pytest.fixture(scope="session")
def sources() -> Iterator[None]:
    """The sources are what they were when these tests began, also for somebody who edits them meanwhile.

    Else a twin would not find its first run.
    """
    code_digest = key.code_digest
    known: dict[tuple[str, ...], str] = {}

    def frozen(spec: ModelSpec | None = None) -> str:
        return known.setdefault(key.custom_modules(spec), code_digest(spec))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(key, "code_digest", frozen)
        yield


@pytest.fixture(scope="session")
def prepared_project(sources: None, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose databases are migrated, and nothing else happened."""
    project = Project(tmp_path_factory.mktemp("prepared") / "project").create(shoppers())
    connect(project.settings)
    return project


@pytest.fixture(scope="session")
def crowned_project(prepared_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose first run, as of the first moment, has promoted version 1."""
    project = copy_project(prepared_project, tmp_path_factory.mktemp("crowned") / "project")
    with chdir(project.folder):
        assert project.run(FIRST).champion == 1
    return project


@pytest.fixture
def project(prepared_project: Project, tmp_path: Path, addresses: Callable[[Project], None]) -> Project:
    """A project of one's own, before its first run; the environment points at it."""
    copy = copy_project(prepared_project, tmp_path / "project")
    addresses(copy)
    return copy


@pytest.fixture
def crowned(crowned_project: Project, tmp_path: Path, addresses: Callable[[Project], None]) -> Project:
    """A project of one's own with champion version 1; the environment points at it."""
    copy = copy_project(crowned_project, tmp_path / "project")
    addresses(copy)
    return copy


@pytest.fixture(scope="session")
def aged_project(crowned_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with six versions: champion 5 after 4, 2 and 1; 3 was rejected and 6 waits for a person."""
    project = copy_project(crowned_project, tmp_path_factory.mktemp("aged") / "project")
    live_on(project)
    return project


@pytest.fixture
def aged(aged_project: Project, tmp_path: Path, addresses: Callable[[Project], None]) -> Project:
    """A project of one's own with a past (tests.succession); the environment points at it."""
    copy = copy_project(aged_project, tmp_path / "project")
    addresses(copy)
    return copy


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> Callable[[Project], None]:
    """Point environment and working directory at a project, and away from everything else."""

    def point(project: Project) -> None:
        for name in ADDRESSES:
            monkeypatch.delenv(name, raising=False)
        # The spec names its table by a relative path, so that a copied project has the same spec.
        monkeypatch.chdir(project.folder)
        monkeypatch.setenv("EVERGREEN_HOME", str(project.settings.home))
        monkeypatch.setenv("EVERGREEN_CONFIGS", str(project.settings.configs))

    return point


@pytest.fixture(scope="module")
def without_pictures() -> Iterator[None]:
    """Runs without what takes most of their time and decides nothing: pictures, clocks, a process a smoke test."""
    from tests.faults.child import smoke_here

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("evergreen.drift.report.render", lambda result, *_: result)
        patch.setattr("evergreen.evaluation.plots.draw", lambda *_: [])
        patch.setattr("evergreen.evaluation.evaluate.measure_latency", lambda *_: 1.0)
        patch.setattr("evergreen.stages.promote.smoke_test", smoke_here)
        patch.setattr("evergreen.stages.rollback.smoke_test", smoke_here)
        yield


@pytest.fixture(scope="session")
def orchestrator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Prefect's API at its address, on a database of its own, for the tests that run flows."""
    os.environ["PREFECT_HOME"] = str(tmp_path_factory.mktemp("prefect"))
    os.environ["PREFECT_LOGGING_EXTRA_LOGGERS"] = "evergreen"
    # Stages that a test calls outside a flow have no page to say it on.
    os.environ["PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW"] = "ignore"
    folder = tmp_path_factory.mktemp("orchestrator")
    with servers.prefect_server(folder, auth=None, more=servers.BRIEF) as running:
        from prefect.context import _temporary_global_settings_context, get_settings_context
        from prefect.events.worker import EventsWorker
        from prefect.logging.handlers import APILogWorker
        from prefect.settings import PREFECT_API_URL, temporary_settings

        # Not in the environment, which commands inherit that start servers of their own. As Prefect's test harness has
        # it, for all threads: one that sees no address starts a server, and leaves it running.
        with (
            temporary_settings({PREFECT_API_URL: running.api.url}),
            _temporary_global_settings_context(get_settings_context()),
        ):
            yield running.api.url
            # What they still have to say is said before the server ends.
            APILogWorker.drain_all(timeout=30)
            EventsWorker.drain_all(timeout=30)


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.PrefectServer]:
    """A real server with all its services, for tests of what the brief one does not do: schedules, automations."""
    with servers.prefect_server(tmp_path_factory.mktemp("prefect-server")) as running:
        yield running


@pytest.fixture(scope="session")
def machine(prepared_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """`evergreen up`, for real, over a project with the spec `tiny`: both servers, a worker and the tending loop."""
    project = copy_project(prepared_project, tmp_path_factory.mktemp("machine") / "project")
    with running_project(project.folder) as running:
        yield running


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A real PostgreSQL on loopback: `cluster.create_database()` is the address of an empty database."""
    with postgres() as running:
        yield running


@pytest.fixture(scope="session")
def week() -> timedelta:
    return timedelta(days=7)


@pytest.fixture(scope="session")
def copied() -> Callable[[Project, Path], Project]:
    """A project elsewhere, with all its state."""
    return copy_project
