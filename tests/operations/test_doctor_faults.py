"""Ten faults are planted into a set-up that is well, one at a time: the doctor names that one, and no other."""

import os
import re
import shutil
import socket
import subprocess
import threading
import tomllib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from evergreen.operations.doctor.examine import examine
from evergreen.operations.doctor.finding import Finding, Health
from evergreen.operations.doctor.patient import Patient
from evergreen.orchestrator.api import PrefectApi
from evergreen.orchestrator.names import POOL, RETRAINS, automation
from evergreen.store.database import open_engine
from tests.servers import free_port, prefect_server, wait_for

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
MODEL = "tiny"
TAGS = ["evergreen"]


@dataclass(frozen=True)
class Ward:
    """A patient who is well, his server, and a folder for what is done to him."""

    patient: Patient
    api: PrefectApi
    folder: Path
    patch: pytest.MonkeyPatch

    def moved(self, **settings: Any) -> Patient:
        return replace(self.patient, settings=replace(self.patient.settings, **settings))

    def with_server(self, url: str) -> Patient:
        return replace(self.patient, environ={**self.patient.environ, "PREFECT_API_URL": url})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectApi]:
    """A server with all that `evergreen deploy` and a worker bring. Not the shared one: others deploy there too."""
    with prefect_server(tmp_path_factory.mktemp("doctor")) as running:
        api = running.api
        api.post("/work_pools/", name=POOL, type="process")
        report(api, "bee")
        for name in (f"retrain/{MODEL}", f"rollback/{MODEL}", f"score/{MODEL}", f"monitor/{MODEL}", "approve/approve"):
            deploy(api, name)
        for reason in RETRAINS:
            name = automation(reason, MODEL)
            api.post("/automations/", name=name, enabled=True, trigger=TRIGGER, actions=ACTIONS)
        yield api


TRIGGER = {"type": "event", "posture": "Reactive", "threshold": 1, "within": 60, "expect": ["evergreen.drift.detected"]}
ACTIONS = [{"type": "do-nothing"}]


def report(api: PrefectApi, worker: str, interval_seconds: int = 600) -> None:
    """What a living worker tells its pool."""
    api.post(f"/work_pools/{POOL}/workers/heartbeat", name=worker, heartbeat_interval_seconds=interval_seconds)


def deploy(api: PrefectApi, name: str) -> None:
    flow, _, own = name.partition("/")
    schedules = [{"schedule": {"cron": "0 6 * * 1", "timezone": "UTC"}, "active": True}] if flow == "retrain" else []
    values = {"work_pool_name": POOL, "schedules": schedules, "tags": TAGS}
    api.post("/deployments/", name=own, flow_id=api.post("/flows/", name=flow)["id"], **values)


@pytest.fixture
def ward(project, server, tmp_path, monkeypatch) -> Ward:
    monkeypatch.syspath_prepend(tmp_path / "installed")
    distribution(tmp_path / "installed", "evergreen", "0.1.0", requirements())
    environ = {"PREFECT_API_URL": server.url, "PREFECT_API_AUTH_STRING": server.auth}
    ports = {"prefect": free_port(), "mlflow": free_port(), "serve": free_port()}
    patient = Patient(project.settings, environ, lambda: datetime.now(UTC), ports=ports)
    return Ward(patient, server, tmp_path, monkeypatch)


def requirements() -> list[str]:
    """What the next installation would write down: the environment may be a change behind."""
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["dependencies"]


def distribution(folder: Path, name: str, version: str, requires: list[str] = ()) -> None:  # type: ignore[assignment]
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = [f"Name: {name}", f"Version: {version}", "Requires-Python: >=3.11"]
    lines += [f"Requires-Dist: {line}" for line in requires]
    (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.4", *lines, ""]))


@contextmanager
def port_taken(ward: Ward) -> Iterator[Patient]:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", ward.patient.ports["mlflow"]))
        stranger.listen()
        yield ward.patient


@contextmanager
def server_down(ward: Ward) -> Iterator[Patient]:
    yield ward.with_server(f"http://127.0.0.1:{free_port()}/api")


@contextmanager
def worker_down(ward: Ward) -> Iterator[Patient]:
    ward.api.send("DELETE", f"/work_pools/{POOL}/workers/bee")
    report(ward.api, "fly", interval_seconds=1)
    wait_for(lambda: all(worker.status == "OFFLINE" for worker in ward.api.workers(POOL)))
    yield ward.patient
    report(ward.api, "bee")


@contextmanager
def migration_pending(ward: Ward) -> Iterator[Patient]:
    from alembic import command
    from alembic.config import Config

    url = f"sqlite:///{ward.folder / 'older.db'}"
    config = Config()
    config.set_main_option("script_location", str(REPOSITORY / "src/evergreen/store/migrations"))
    with open_engine(url).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    yield ward.moved(store_url=url)


@contextmanager
def disk_full(ward: Ward) -> Iterator[Patient]:
    """A small file system, full to the brim, where it may be mounted; else a bound that no disk meets."""
    small = ward.folder / "small"
    small.mkdir()
    if os.geteuid() != 0 or not shutil.which("mount") or not mounted(small):
        yield replace(ward.patient, bounds=replace(ward.patient.bounds, free_bytes=10**18))
        return
    try:
        fill(small / "filler")
        yield ward.moved(home=small, artifacts=str(small / "artifacts"), snapshots=str(small))
    finally:
        subprocess.run(["umount", str(small)], check=True)


def mounted(folder: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


@contextmanager
def clock_skew(ward: Ward) -> Iterator[Patient]:
    """The real server, whose clock is a minute fast."""

    class Fast(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {"Authorization": self.headers["Authorization"], "Content-Type": "application/json"}
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            upstream = ward.api.url.removesuffix("/api") + self.path
            answer = httpx.request(self.command, upstream, content=body, headers=headers)
            self.send_response_only(answer.status_code)
            self.send_header("Date", format_datetime(datetime.now(UTC) + timedelta(minutes=1), usegmt=True))
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Fast) as fast:
        threading.Thread(target=fast.serve_forever, daemon=True).start()
        yield ward.with_server(f"http://127.0.0.1:{fast.server_port}/api")
        fast.shutdown()


@contextmanager
def wrong_version(ward: Ward) -> Iterator[Patient]:
    distribution(ward.folder / "newer", "fastapi", "0.155.0")
    ward.patch.syspath_prepend(ward.folder / "newer")
    yield ward.patient


@contextmanager
def automation_off(ward: Ward) -> Iterator[Patient]:
    (drift,) = [one for one in ward.api.automations() if one.name == automation("drift", MODEL)]
    ward.api.send("PATCH", f"/automations/{drift.id}", {"enabled": False})
    yield ward.patient
    ward.api.send("PATCH", f"/automations/{drift.id}", {"enabled": True})


@contextmanager
def pool_paused(ward: Ward) -> Iterator[Patient]:
    ward.api.send("PATCH", f"/work_pools/{POOL}", {"is_paused": True})
    yield ward.patient
    ward.api.send("PATCH", f"/work_pools/{POOL}", {"is_paused": False})


@contextmanager
def artifact_store_unreachable(ward: Ward) -> Iterator[Patient]:
    (ward.folder / "in-the-way").write_text("a file where the folder should be")
    yield ward.moved(artifacts=str(ward.folder / "in-the-way" / "artifacts"))


Plant = Callable[[Ward], AbstractContextManager[Patient]]
FAULTS: dict[Plant, tuple[str, str, str]] = {
    port_taken: ("ports", r"taken: \d+ \(mlflow\) by \S+ \(process \d+\)", "--mlflow-port 0"),
    server_down: ("prefect server", "does not answer", "evergreen up"),
    worker_down: ("worker", "last one was heard of at 20", "prefect worker start --pool evergreen"),
    migration_pending: ("migrations", "at 0001, and this Evergreen needs", "evergreen"),
    disk_full: ("disk", r"0\.0 of 0\.0 GB free|wanted are 1e\+09 GB", "make room"),
    clock_skew: ("prefect clock", r"(59|60|61) s ahead", "timedatectl"),
    wrong_version: ("packages", r"fastapi 0\.155\.0 is not within <0\.151", "requirements/run.txt"),
    automation_off: ("automations", "switched off: evergreen: drift retrains tiny", "prefect automation resume"),
    pool_paused: ("work pool", "pool evergreen is paused", "prefect work-pool resume evergreen"),
    artifact_store_unreachable: ("artifact store", "in-the-way is no folder", "EVERGREEN_HOME"),
}


def test_a_set_up_that_is_well_has_nothing_wrong_and_nothing_unknown(ward):
    assert [finding for finding in examine(ward.patient) if finding.outcome is not Health.OK] == []


@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_told_from_the_nine_others(ward, plant):
    with plant(ward) as patient:
        findings = examine(patient)
    name, what, do = FAULTS[plant]
    ill: list[Finding] = [finding for finding in findings if finding.outcome is Health.WRONG]
    assert [finding.name for finding in ill] == [name]
    assert re.search(what, ill[0].what)
    assert do in ill[0].do
    assert "s3cret" not in str(findings)
