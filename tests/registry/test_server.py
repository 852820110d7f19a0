"""Against a real tracking server: one worker, its own database, artifacts behind it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from evergreen.checks import Outcome
from evergreen.errors import UnavailableError
from evergreen.registry.model import load, log_model
from evergreen.registry.smoke import smoke_test
from evergreen.registry.tracking import Tracking
from evergreen.registry.versions import Registry, StaleChampion


@pytest.fixture
def server(migrated: Path, tmp_path: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    (tmp_path / "mlflow.db").write_bytes(migrated.read_bytes())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{tmp_path / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(tmp_path / "served")]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "OMP_NUM_THREADS": "1"}
    with (tmp_path / "log").open("w") as log:
        started = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", started, tmp_path / "log")
        yield f"http://127.0.0.1:{port}", started
    finally:
        started.terminate()
        started.wait(timeout=30)


def wait_until_ready(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            if httpx.get(f"{url}/health", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


def test_a_model_is_registered_tested_and_promoted_on_a_server(
    server, tmp_path, pipeline, customers, requirements, monkeypatch
):
    url, process = server
    tracking = Tracking(url, str(tmp_path / "artifacts"))
    registry = Registry(tracking)
    tracking.prepare()
    assert registry.champion("churn") is None

    run = tracking.start_run("churn", "weekly", {"evergreen.training_key": "k1"})
    assert httpx.get(run.url).status_code == 200
    logged = log_model(tracking, run.run_id, pipeline, customers, requirements)
    tracking.finish(run.run_id)
    assert tracking.find_unfinished("churn", "k1") == ()

    versions = [registry.register("churn", run.run_id, logged, {}, "card").version for _ in range(2)]
    assert versions == [1, 1]
    assert smoke_test(tracking, "models:/churn/1", logged.digest).outcome is Outcome.PASS
    registry.promote("churn", 1, None)
    with pytest.raises(StaleChampion):
        registry.promote("churn", 2, None)
    champion = registry.champion("churn")
    assert (champion.version, champion.digest) == (1, logged.digest)
    assert list(load(tracking, champion.source, champion.digest).predict(customers)) == list(
        pipeline.predict(customers)
    )
    assert not (tmp_path / "artifacts" / "churn").exists()

    process.terminate()
    process.wait(timeout=30)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(UnavailableError):
        registry.champion("churn")
