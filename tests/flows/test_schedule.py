"""Prefect's server, booted as it would be for a team, plans the runs of a schedule.

With versions that resolve and do not work together it starts, answers, and silently plans nothing.
"""

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress

import httpx
import pytest

pytestmark = pytest.mark.slow

SCHEDULE = {"cron": "0 6 * * 1", "timezone": "Europe/Berlin"}


@pytest.fixture
def server(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment = {
        **inherited,
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "1",
        "DO_NOT_TRACK": "true",
    }
    factory = ["--factory", "prefect.server.api.server:create_app", "--host", "127.0.0.1", "--port", str(port)]
    command = [sys.executable, "-m", "uvicorn", *factory, "--log-level", "error", "--lifespan", "on"]
    with (tmp_path / "server.log").open("w") as log:
        running = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/api", timeout=30) as client:
            wait_for(lambda: client.get("/health").is_success, running)
            yield client
    finally:
        running.terminate()
        with suppress(subprocess.TimeoutExpired):
            running.wait(timeout=10)
        running.kill()
        running.wait()


def wait_for(question, process=None, seconds=120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process is None or process.poll() is None, "the server has ended"
        with suppress(httpx.TransportError):
            # An answer of httpx is false where its status is an error; an empty list is none yet.
            if (answer := question()) not in (None, False, []):
                return answer
        time.sleep(0.2)
    raise AssertionError("the server said nothing in time")


def post(client, path, **values):
    """The server's answer. While SQLite is busy with the services' first rounds it is 503, and asked for again."""

    def ask():
        answer = client.post(path, json=values)
        return None if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE else answer

    answer = wait_for(ask, seconds=60)
    answer.raise_for_status()
    return answer.json()


def test_a_cron_deployment_gets_scheduled_runs(server):
    flow = post(server, "/flows/", name="retrain")
    schedules = [{"schedule": SCHEDULE, "active": True}]
    deployment = post(server, "/deployments/", name="churn", flow_id=flow["id"], schedules=schedules)
    only = {"deployments": {"id": {"any_": [deployment["id"]]}}}
    runs = wait_for(lambda: post(server, "/flow_runs/filter", **only), seconds=60)
    assert {run["state_type"] for run in runs} == {"SCHEDULED"}
    assert all(run["auto_scheduled"] for run in runs)
