"""The servers start as compose.yaml starts them: its command lines and its environment, as processes of this machine.

Nothing is replaced but names and ports: what listens for the network of the containers listens on loopback. PostgreSQL
is real and asks for passwords; the object store is a stand-in.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
import yaml

from evergreen.orchestrator.answers import FlowRun
from evergreen.orchestrator.api import PrefectApi
from evergreen.serving.keys import Scope, make_key
from tests.deployments.objects import Objects, serve_objects
from tests.deployments.shipped import DEPLOYMENTS, filled, secrets, stages
from tests.machine import copy_code
from tests.postgres import Cluster, postgres
from tests.servers import bare_environment, free_port, is_well, stop, wait_for

pytestmark = pytest.mark.slow

TEXT, KEY = make_key("shop", [Scope.PREDICT])
PASSWORDS = secrets() | {"PREFECT_AUTH": "eva:s3cret", "WORKER_QUERY_SECONDS": "2", "SERVE_KEYS": KEY.line}
SERVICES = filled(PASSWORDS)["services"]
ROW = {"waited": 0.5, "spent": -0.5, "plan": "basic"}
# Of whoever runs these tests: none of it may be what makes a server start.
OURS = ("EVERGREEN_", "MLFLOW_", "PREFECT_", "AWS_", "PG")


@dataclass(frozen=True)
class Stack:
    """Where everything answers. `here` says a text of the containers' network in words of this machine."""

    folder: Path
    project: Path
    cluster: Cluster
    objects: Objects
    prefect: int
    mlflow: int
    health: int
    serving: int

    def here(self, text: str) -> str:
        places = {
            # First: what comes after it may stand below /tmp.
            "/tmp/": f"{self.folder}/",
            "postgres:5432": f"127.0.0.1:{self.cluster.port}",
            "prefect:4200": f"127.0.0.1:{self.prefect}",
            "mlflow:5000": f"127.0.0.1:{self.mlflow}",
            "http://objects:8333": self.objects.url,
            "/var/lib/evergreen": str(self.folder),
            "/srv/evergreen": str(self.project),
        }
        for name, place in places.items():
            text = text.replace(name, place)
        return text

    def environment(self, service: str) -> dict[str, str]:
        """What a container would see: its image's variables, and compose.yaml's on top."""
        told = {**stages()[SERVICES[service]["build"]["target"]].env, **SERVICES[service]["environment"]}
        moved = {
            "PATH": os.environ["PATH"],
            "PREFECT_SERVER_DATABASE_HOST": "127.0.0.1",
            "PREFECT_SERVER_DATABASE_PORT": str(self.cluster.port),
            "PREFECT_WORKER_WEBSERVER_PORT": str(self.health),
            "PREFECT_WORKER_WEBSERVER_HOST": "127.0.0.1",
            "HOME": str(self.folder),
        }
        inherited = {name: value for name, value in bare_environment().items() if not name.startswith(OURS)}
        here = {name: self.here(str(value)) for name, value in told.items()}
        asked = {name: value for name, value in moved.items() if name in told or "SERVER" in name or name == "HOME"}
        return {**inherited, **here, **asked, "PATH": moved["PATH"]} | _worker_port(service, moved)

    def command(self, service: str) -> list[str]:
        words = SERVICES[service].get("command") or stages()[SERVICES[service]["build"]["target"]].command
        moved = {"0.0.0.0": "127.0.0.1", "4200": str(self.prefect), "5000": str(self.mlflow), "8000": str(self.serving)}
        program, *rest = [moved.get(word, word) for word in words]
        return [sys.executable, *rest] if program == "python" else [str(Path(sys.executable).with_name(program)), *rest]

    @contextmanager
    def started(self, service: str) -> Iterator["subprocess.Popen[bytes]"]:
        """A service until the block ends; its log shows where it fails."""
        log = self.folder / f"{service}.log"
        with log.open("w") as output:
            running = subprocess.Popen(
                self.command(service), env=self.environment(service), cwd=self.project, stdout=output, stderr=output
            )
        try:
            yield running
        finally:
            stop(running)

    def once(self, service: str, words: list[str] | None = None) -> str:
        """A service that ends, or other words in its place; what it said."""
        command = [str(Path(sys.executable).with_name(words[0])), *words[1:]] if words else self.command(service)
        done = subprocess.run(
            command, env=self.environment(service), cwd=self.project, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def log(self, service: str) -> str:
        return (self.folder / f"{service}.log").read_text()


def _worker_port(service: str, moved: Mapping[str, str]) -> dict[str, str]:
    return {name: moved[name] for name in moved if "WEBSERVER" in name} if service == "worker" else {}


def psql(
    cluster: Cluster, user: str, database: str, *words: str, **environment: str
) -> "subprocess.CompletedProcess[str]":
    place = ["-qXAt", "-h", "127.0.0.1", "-p", str(cluster.port), "-U", user, "-d", database]
    seen = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(
        [cluster.binaries / "psql", *place, *words], env=seen, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def databases() -> Iterator[Cluster]:
    """A cluster that databases.sql was run on as the image runs it, and that then asks everybody for a password."""
    with ExitStack() as stack:
        cluster = stack.enter_context(postgres())
        boss = "CREATE ROLE boss SUPERUSER LOGIN PASSWORD 'boss'"
        assert psql(cluster, "evergreen", "postgres", "-c", boss).returncode == 0
        assert psql(cluster, "boss", "postgres", "-c", "ALTER ROLE evergreen RENAME TO first").returncode == 0
        told = {name: value for name, value in SERVICES["postgres"]["environment"].items() if "DATABASE" in name}
        made = psql(cluster, "boss", "postgres", "-f", str(DEPLOYMENTS / "postgres" / "databases.sql"), **told)
        assert made.returncode == 0, made.stderr
        rules = psql(cluster, "boss", "postgres", "-c", "SHOW hba_file").stdout.strip()
        Path(rules).write_text("host all all 127.0.0.1/32 scram-sha-256\n")
        assert psql(cluster, "boss", "postgres", "-c", "SELECT pg_reload_conf()").returncode == 0
        yield cluster


@pytest.fixture(scope="module")
def stack(
    databases: Cluster,
    small_spec: Callable[[str], dict[str, Any]],
    shopper_table: Callable[..., pd.DataFrame],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    """Prefect's server and MLflow's, up and well, for a project with one model that is trained in a second."""
    folder = tmp_path_factory.mktemp("stack")
    project = folder / "project"
    copy_code(project)
    (project / "configs").mkdir()
    (project / "configs" / "tiny.yaml").write_text(yaml.safe_dump(small_spec("tiny")))
    shopper_table().to_csv(project / "table.csv", index=False)
    key = SERVICES["mlflow"]["environment"]["AWS_ACCESS_KEY_ID"]
    with serve_objects(key, "evergreen") as objects:
        stack = Stack(folder, project, databases, objects, *(free_port() for _ in range(4)))
        with stack.started("prefect") as prefect, stack.started("mlflow") as mlflow:
            wait_for(lambda: is_well(f"http://127.0.0.1:{stack.prefect}/api/health"), prefect, 180)
            wait_for(lambda: is_well(f"http://127.0.0.1:{stack.mlflow}/health"), mlflow, 180)
            yield stack


@pytest.mark.parametrize("name", ["prefect", "mlflow", "evergreen"])
def test_a_role_enters_its_own_database_with_its_own_password_and_no_other(databases, name):
    password = SERVICES["postgres"]["environment"][f"{name.upper()}_DATABASE_PASSWORD"]
    others = {"prefect", "mlflow", "evergreen"} - {name}
    assert psql(databases, name, name, "-c", "CREATE TABLE t (); DROP TABLE t", PGPASSWORD=password).returncode == 0
    assert psql(databases, name, name, "-c", "SELECT 1", PGPASSWORD="guessed").returncode != 0
    assert [o for o in others if psql(databases, name, o, "-c", "SELECT 1", PGPASSWORD=password).returncode == 0] == []


def test_databases_without_passwords_are_not_made(databases):
    made = psql(databases, "boss", "postgres", "-f", str(DEPLOYMENTS / "postgres" / "databases.sql"), PGPASSWORD="boss")
    assert made.returncode != 0
    assert "CREATE ROLE prefect" in made.stderr


def test_prefect_keeps_its_state_in_postgresql_behind_a_password(stack):
    password = SERVICES["prefect"]["environment"]["PREFECT_SERVER_DATABASE_PASSWORD"]
    tables = psql(stack.cluster, "prefect", "prefect", "-c", "SELECT count(*) FROM flow_run", PGPASSWORD=password)
    assert tables.stdout.strip() == "0", tables.stderr
    api = f"http://127.0.0.1:{stack.prefect}/api"
    assert httpx.post(f"{api}/deployments/filter", json={}).status_code == httpx.codes.UNAUTHORIZED
    assert httpx.post(f"{api}/deployments/filter", json={}, auth=("eva", "s3cret")).is_success


def test_prefects_pages_ask_the_server_that_they_came_from(stack):
    settings = httpx.get(f"http://127.0.0.1:{stack.prefect}/ui-settings").json()
    assert settings["api_url"] == "/api"
    assert settings["auth"] == "BASIC"


def test_mlflow_keeps_runs_in_postgresql_and_files_with_the_objects(stack, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    from mlflow.tracking import MlflowClient

    client = MlflowClient(stack.here(SERVICES["worker"]["environment"]["MLFLOW_TRACKING_URI"]))
    run = client.create_run(client.create_experiment("started")).info
    (tmp_path / "note.txt").write_text("kept")
    client.log_artifact(run.run_id, str(tmp_path / "note.txt"))
    assert run.artifact_uri.startswith("mlflow-artifacts:")
    (kept,) = [key for key in stack.objects.stored if key.endswith("note.txt")]
    assert kept.startswith("evergreen/mlflow/")
    assert stack.objects.stored[kept] == b"kept"
    assert Path(client.download_artifacts(run.run_id, "note.txt", str(tmp_path))).read_text() == "kept"
    password = SERVICES["mlflow"]["environment"]["PGPASSWORD"]
    asked = psql(stack.cluster, "mlflow", "mlflow", "-c", "SELECT count(*) FROM runs", PGPASSWORD=password)
    assert asked.stdout.strip() == "1"


def test_mlflow_answers_nobody_who_calls_it_by_another_name(stack):
    url = f"http://127.0.0.1:{stack.mlflow}/api/2.0/mlflow/experiments/search?max_results=1"
    assert httpx.get(url).is_success
    assert httpx.get(url, headers={"Host": "rebound.example.com"}).status_code == httpx.codes.FORBIDDEN


def test_a_team_starts_in_the_order_of_compose_retrains_and_asks_the_champion(stack, first_moment):
    stack.once("migrate")
    assert "retrain/tiny: created" in stack.once("deploy")
    assert "Traceback" not in stack.once("tend", ["evergreen", "tend"])
    api = PrefectApi(f"http://127.0.0.1:{stack.prefect}/api", PASSWORDS["PREFECT_AUTH"])
    deployment = api.deployment("retrain/tiny")
    assert deployment is not None
    served = f"http://127.0.0.1:{stack.serving}"
    with stack.started("serving") as serving, stack.started("worker") as worker:
        wait_for(lambda: is_well(f"{served}/health"), serving, 180)
        assert httpx.get(f"{served}/ready").status_code == httpx.codes.SERVICE_UNAVAILABLE
        run = api.create_run(deployment.id, {"as_of": first_moment.isoformat()}, "the first run of a team")
        wait_for(lambda: is_well(f"http://127.0.0.1:{stack.health}/health"), worker, 180)
        ended = wait_for(lambda: finished(api, deployment.id, run.id), worker, 600)
        if ended.state_type == "COMPLETED":
            wait_for(lambda: is_well(f"{served}/ready"), serving, 180)
            answers = [httpx.post(f"{served}/predict", json=ROW, headers=key) for key in ({}, {"X-API-Key": TEXT})]
            assert [answer.status_code for answer in answers] == [401, 200]
            assert answers[1].json()["version"] == 1
    assert "everything that was asked is kept" in stack.log("serving")
    assert ended.state_type == "COMPLETED", ended.message + stack.log("worker")
    assert len([key for key in stack.objects.stored if key.startswith("evergreen/snapshots/")]) == 1
    password = SERVICES["worker"]["environment"]["PGPASSWORD"]
    kinds = psql(stack.cluster, "evergreen", "evergreen", "-c", "SELECT kind FROM decisions", PGPASSWORD=password)
    assert kinds.stdout.strip() == "PROMOTE", kinds.stderr
    kept = psql(stack.cluster, "evergreen", "evergreen", "-c", "SELECT count(*) FROM predictions", PGPASSWORD=password)
    assert kept.stdout.strip() == "1", kept.stderr


def finished(api: PrefectApi, deployment: str, run: str) -> FlowRun | None:
    (found,) = [one for one in api.flow_runs(deployment_ids=(deployment,)) if one.id == run]
    return found if found.state_type in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None
