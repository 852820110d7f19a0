"""The doctor and a tracking server that keeps artifacts: well, without its place for them, and gone."""

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest

from evergreen.operations.doctor.examine import examine
from evergreen.operations.doctor.finding import Health
from evergreen.operations.doctor.patient import Patient
from tests.servers import free_port, stop, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def tracking_server(project):
    url, kept = f"http://127.0.0.1:{free_port()}", project.folder / "kept"
    kept.mkdir()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", url.rpartition(":")[2]]
    command += ["--workers", "1", "--backend-store-uri", project.settings.tracking_uri]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (project.folder / "log").open("w") as log:
        started = subprocess.Popen(
            [*command, "--artifacts-destination", str(kept)], env=environment, stdout=log, stderr=log
        )
    try:
        wait_for(lambda: is_well(url), started)
        yield url, kept, started
    finally:
        stop(started)


def is_well(url):
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/health").is_success


def test_a_tracking_server_is_asked_to_keep_a_file_and_forgets_it_again(project, tracking_server):
    url, kept, server = tracking_server
    patient = Patient(replace(project.settings, tracking_uri=url), {}, lambda: datetime.now(UTC), ports={})

    def found():
        findings = {finding.name: finding for finding in examine(patient, seconds=20)}
        return [findings[name] for name in ("mlflow", "mlflow schema", "artifact store")]

    assert [finding.outcome for finding in found()] == [Health.OK] * 3
    assert found()[2].what == f"behind {url}"
    assert list(kept.rglob("*")) == []

    shutil.rmtree(kept)
    kept.write_text("a file where the folder should be")
    assert [finding.outcome for finding in found()] == [Health.OK, Health.OK, Health.WRONG]

    stop(server)
    assert [finding.outcome for finding in found()] == [Health.WRONG, Health.UNKNOWN, Health.UNKNOWN]
