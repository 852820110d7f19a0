"""Evergreen as it is run: Prefect's server, a worker, and where state lives, on SQLite and all on PostgreSQL."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from evergreen.orchestrator.answers import FlowRun
from evergreen.orchestrator.api import PrefectApi
from evergreen.orchestrator.names import retrain_deployment
from evergreen.registry.versions import Registry
from evergreen.settings import Settings
from evergreen.stages.open import tracking_of
from evergreen.store.entry import LedgerEntry
from evergreen.store.ledger import Ledger
from evergreen.supervisor.launch import is_of_home
from evergreen.supervisor.processes import MARK, Marked, marked_processes
from tests import servers
from tests.machine import copy_code
from tests.servers import PrefectServer, bare_environment, wait_for

MODEL = "oak"
# A model that tries enough to be killed in between.
PATIENT = "elm"
MANY = [
    {"kind": "logistic_regression", "grid": {"C": [0.1, 1.0]}},
    {"kind": "gradient_boosting", "grid": {"n_estimators": [200, 300, 400]}},
]
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


@dataclass(frozen=True)
class Site:
    """A project with one model that is deployed, a worker that waits for its runs, and the processes' environment."""

    folder: Path
    api: PrefectApi
    environment: Mapping[str, str]
    deployment_id: str
    held: ExitStack
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    model: str = MODEL

    @property
    def settings(self) -> Settings:
        return Settings.from_environment(self.environment)

    @property
    def table(self) -> Path:
        return self.folder / "table.csv"

    @property
    def champion(self) -> int | None:
        return Registry(tracking_of(self.settings)).champion_version(self.model)

    @property
    def living(self) -> tuple[Marked, ...]:
        """Processes of this site that live, flow runs included."""
        return tuple(found for found in marked_processes() if is_of_home(found.mark, self.settings.home))

    def hire(self) -> None:
        """Start a worker, which stays until the site is closed."""
        self.workers.append(self.held.enter_context(servers.process_worker(self.folder.parent, self.environment)))

    def runs(self) -> tuple[FlowRun, ...]:
        """All runs of the model's retraining, whatever started them."""
        return self.api.flow_runs(deployment_ids=[self.deployment_id])

    def ended(self, run: FlowRun) -> FlowRun:
        """A run when it has come to its end, which is a good one."""

        def look() -> FlowRun | None:
            found = self.api.flow_run(run.id)
            return found if found and found.state_type in ENDED else None

        last: FlowRun = wait_for(look, seconds=300, pause_seconds=0.5)
        assert last.state_type == "COMPLETED", last.message
        return last

    def decision(self, run: FlowRun) -> LedgerEntry:
        """What the ledger says of a run."""
        (entry,) = [one for one in Ledger(self.settings.store_url).entries(self.model) if one.flow_run == run.id]
        return entry


@pytest.fixture(scope="session")
def today_table(shopper_table: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    """Shoppers up to last midnight: what is due now looks from now."""
    table = shopper_table()
    return table.assign(at=table["at"] + (pd.Timestamp.now("UTC").tz_localize(None).normalize() - table["at"].max()))


@pytest.fixture(scope="session")
def code(
    small_spec: Callable[[str], Mapping[str, Any]], today_table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A project's folder: the repository's flows, two specs and their table."""
    folder = tmp_path_factory.mktemp("system") / "project"
    copy_code(folder)
    (folder / "configs").mkdir()
    # The last month is what may have moved, and however much did, a run for drift retrains.
    drift = {"min_rows": 100, "window": "30d", "max_share": 1.0}
    spec = {**small_spec(MODEL), "drift": drift, "schedule": {"active": False}}
    (folder / "configs" / f"{MODEL}.yaml").write_text(yaml.safe_dump(spec))
    patient = {**spec, "model": PATIENT, "training": {**spec["training"], "candidates": MANY}}
    (folder / "configs" / f"{PATIENT}.yaml").write_text(yaml.safe_dump(patient))
    today_table.to_csv(folder / "table.csv", index=False)
    return folder


def start_sqlite(
    request: pytest.FixtureRequest, held: ExitStack, folder: Path, home: Path
) -> tuple[PrefectServer, dict[str, str]]:
    """A file each for Prefect, MLflow and the store; MLflow's and the store's have been migrated, as `up` does."""
    prepared = request.getfixturevalue("prepared_project")
    home.mkdir()
    for name in ("mlflow.db", "evergreen.db"):
        shutil.copy(prepared.settings.home / name, home / name)
    return request.getfixturevalue("prefect_server"), {}


def start_postgresql(
    request: pytest.FixtureRequest, held: ExitStack, folder: Path, home: Path
) -> tuple[PrefectServer, dict[str, str]]:
    """A database each for Prefect's server, MLflow's server and the store."""
    cluster = request.getfixturevalue("cluster")
    prefect, mlflow, store = (cluster.create_database() for _ in range(3))
    driver = {"PREFECT_API_DATABASE_CONNECTION_URL": prefect.replace("postgresql://", "postgresql+asyncpg://")}
    tracking = held.enter_context(servers.mlflow_server(folder / "mlflow", mlflow.replace("://", "+psycopg://", 1)))
    server = held.enter_context(servers.prefect_server(folder / "prefect", more=driver))
    return server, {"MLFLOW_TRACKING_URI": tracking, "EVERGREEN_STORE_URL": store}


START = {"sqlite": start_sqlite, "postgresql": start_postgresql}


@pytest.fixture(scope="session")
def patient() -> str:
    """The model that takes its time."""
    return PATIENT


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, code: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    project = Path(shutil.copytree(code, folder / "project"))
    home = folder / "home"
    with ExitStack() as held:
        server, addresses = START[request.param](request, held, folder, home)
        own = {
            "EVERGREEN_HOME": str(home),
            "EVERGREEN_CONFIGS": str(project / "configs"),
            "EVERGREEN_PROJECT": str(project),
            "OMP_NUM_THREADS": "1",
            MARK: f"tests@{home}",
        }
        environment = {**bare_environment(), **server.environment, **own, **addresses}
        deploy(project, environment)
        deployed = server.api.deployment(retrain_deployment(MODEL))
        assert deployed is not None
        site = Site(project, server.api, environment, deployed.id, held)
        site.hire()
        yield site


def deploy(project: Path, environment: Mapping[str, str]) -> None:
    """`evergreen deploy`, in the project's folder."""
    command = [sys.executable, "-m", "evergreen.cli.main", "deploy"]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
