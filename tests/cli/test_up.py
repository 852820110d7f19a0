"""Everything on one machine, for real: it starts, is killed in parts, goes on, stops, and forgets nothing."""

import os
import re
import signal
import socket
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import yaml

from evergreen.cli.parts import choose_places, shared_environment, table_of_parts
from evergreen.settings import Settings
from evergreen.supervisor.state import read_state, up_folder
from tests.machine import Machine, evergreen, running_project
from tests.servers import wait_for

pytestmark = pytest.mark.slow

RETRAIN = "retrain/tiny"
NOTHING_KEPT = {"capture": {"backlog": 0, "written": 0, "lost": 0}}


@pytest.fixture
def folder(prepared_project, shopper_table, tmp_path) -> Path:
    """A project with one tiny spec, in a folder of its own."""
    project = type(prepared_project)(tmp_path / "project").create(shopper_table())
    spec = yaml.safe_load(project.spec_file.read_text())
    project.spec_file.write_text(yaml.safe_dump({**spec, "owner": "tests@example.com"}, sort_keys=False))
    return project.folder


def start_run(machine: Machine, key: str) -> str:
    deployment = machine.api.deployment(RETRAIN)
    parameters = {"as_of": "2026-04-01T00:00:00Z", "dry_run": True}
    return machine.api.create_run(deployment.id, parameters, key).id


def state_of(machine: Machine, run: str) -> str:
    return machine.api.flow_run(run).state_type


def test_everything_starts_survives_a_kill_stops_and_is_there_again(folder):
    with running_project(folder) as machine:
        before = machine.state
        assert httpx.get(before.prefect_ui).status_code == httpx.get(before.mlflow_ui).status_code == 200
        assert "failed" not in machine.said
        assert set(before.children) == {"prefect", "mlflow", "serving", "tend", "worker"}
        assert before.serving in machine.said
        # Nobody is champion yet: it lives, says so, and waits.
        assert httpx.get(f"{before.serving}/health").status_code == 200
        assert httpx.get(f"{before.serving}/ready").json() == {"status": "not ready", "models": {}, **NOTHING_KEPT}
        deployment = machine.api.deployment(RETRAIN)

        refused = evergreen(folder, "up")
        assert refused.returncode == 2
        assert f"process {machine.process.pid}, Prefect at {before.prefect_ui}" in refused.stderr

        os.kill(before.children["prefect"], signal.SIGKILL)
        wait_for(lambda: machine.state.children.get("prefect") not in (None, before.children["prefect"]))
        wait_for(machine.api.health)
        run = start_run(machine, "after the kill")
        wait_for(lambda: state_of(machine, run) == "RUNNING")
        for name in ("worker", "serving"):
            assert machine.state.children[name] == before.children[name]

        machine.interrupt()
        assert machine.process.wait(timeout=120) == 0, machine.said
        assert machine.living == ()
        assert "flow runs have closed" in machine.said
        served = (up_folder(machine.home) / "logs" / "serving.log").read_text()
        assert "everything that was asked is kept" in served, served
        assert not re.search("WARNING|ERROR|Traceback", served), served
        assert read_state(machine.home) is None

    ports = ("--prefect-port", "0", "--mlflow-port", "0", "--no-serve")
    assert evergreen(folder, "up", "--detach", *ports).returncode == 0
    again = Machine(folder, machine.process)
    try:
        assert again.api.deployment(RETRAIN).id == deployment.id
        assert state_of(again, run) != "RUNNING"
        assert again.state.serving is None
        assert "serving" not in again.state.children
    finally:
        stopped = evergreen(folder, "down")
    assert "prefect" in stopped.stdout
    assert again.living == ()
    nothing = evergreen(folder, "down")
    assert (nothing.returncode, nothing.stdout.split()[:3]) == (0, ["nothing", "runs", "for"])


@pytest.mark.parametrize("name", ["prefect", "serve"])
def test_a_port_that_is_taken_is_said_before_anything_is_started(folder, name):
    (folder / "flows").mkdir()
    others = [f"--{other}-port=0" for other in ("prefect", "mlflow", "serve") if other != name]
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        refused = evergreen(folder, "up", *others, f"--{name}-port", port)
    assert refused.returncode == 2
    assert f"port {port} is taken" in refused.stderr
    assert f"process {os.getpid()}" in refused.stderr
    assert f"--{name}-port" in refused.stderr
    assert not (folder / "home" / "prefect").exists()


def test_up_belongs_into_a_project(tmp_path):
    refused = evergreen(tmp_path, "up")
    assert refused.returncode == 2
    assert "no flows/ here" in refused.stderr


def test_servers_that_the_environment_names_are_used_and_not_started():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        environ = {"PREFECT_API_URL": f"{address}/api", "MLFLOW_TRACKING_URI": address}
        places = choose_places(environ, 4200, 5000)
        assert places.serving is None
        made = table_of_parts(Settings.from_environment(environ), places, 1, datetime.now(UTC))
        parts = {part.name: part for part in made}
        assert [name for name, part in parts.items() if not part.command] == ["prefect", "mlflow"]
        assert (parts["prefect"].address, parts["mlflow"].address) == (address, address)
        assert not parts["prefect"].answers()
        assert not parts["mlflow"].answers()
        assert not parts["worker"].answers()


def test_children_inherit_secrets_and_no_command_line_or_address_shows_one(monkeypatch, tmp_path):
    secret = "postgresql://eva:s3cret@db/mlflow"
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "eva:s3cret")
    environ = {"EVERGREEN_HOME": str(tmp_path), "MLFLOW_TRACKING_URI": secret}
    settings, places = Settings.from_environment(environ), choose_places(environ, 0, 0, 0)
    shared = shared_environment(settings, places)
    assert shared["PREFECT_API_AUTH_STRING"] == "eva:s3cret"
    parts = table_of_parts(settings, places, 1, datetime.now(UTC))
    assert {part.name: part.environment for part in parts}["mlflow"]["MLFLOW_BACKEND_STORE_URI"] == secret
    assert not any("s3cret" in text for part in parts for text in (*part.command, part.address or ""))
