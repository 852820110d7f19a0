"""`evergreen serve` as a process: it answers as it says, keeps what it answered, and ends in order."""

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from evergreen.cli.serve import ServeOptions, run
from evergreen.errors import UserError
from evergreen.store.asked import Asked, Requests
from evergreen.store.traffic import Traffic
from tests.project import copy_project

ROW = {"waited": 0.5, "spent": -0.5, "plan": "basic"}
_SECONDS = 120


def start(project, *options):
    command = [sys.executable, "-m", "evergreen.cli.main", "serve", project.model, "--port", "0", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def lines_until_served(process):
    """What it says until it can be asked, and its address."""
    said = []
    for line in process.stdout:
        said.append(line)
        if "curl" in line:
            break
    else:
        pytest.fail(process.stderr.read())
    address = re.search(r"http://127\.0\.0\.1:\d+", said[0]).group()
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{address}/ready").status_code == 200:
                return said, address
        except httpx.TransportError:
            time.sleep(0.05)
    return pytest.fail("it never became ready")


@pytest.fixture
def ended():
    """Processes of a test, none of which outlives it."""
    processes = []
    yield processes
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def fetched(crowned_project, tmp_path_factory):
    """What one server brought into its cache the next one finds there."""
    return copy_project(crowned_project, tmp_path_factory.mktemp("served") / "project")


@pytest.fixture
def home(fetched, addresses):
    addresses(fetched)
    return fetched


def test_it_answers_as_it_says_and_drains_when_it_is_told_to_stop(home, ended):
    process = start(home)
    ended.append(process)
    said, address = lines_until_served(process)
    shown = subprocess.run(shlex.split(said[-1]), capture_output=True, text=True, check=True)
    assert '"version":1' in shown.stdout, said[-1]

    answered, stop = [], threading.Event()

    def ask_again_and_again():
        with httpx.Client(timeout=30) as client:
            while not stop.is_set():
                try:
                    answered.append(client.post(f"{address}/predict", json=ROW).json()["prediction_id"])
                except (httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError):
                    # Between two requests, where it has said that it ends; a request that it took is answered.
                    return

    threads = [threading.Thread(target=ask_again_and_again) for _ in range(4)]
    for thread in threads:
        thread.start()
    while len(answered) < 50:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(_SECONDS) == 0, process.stderr.read()
    stop.set()
    for thread in threads:
        thread.join()
    now = datetime.now(UTC)
    around = (now - timedelta(hours=1), now + timedelta(hours=1))
    kept = Traffic(home.settings.store_url).window("tiny", *around)
    assert set(answered) <= set(kept.answers["id"].to_pylist())
    assert len(kept.answers) >= len(answered) >= 50
    # One row a request: what was captured is what was counted.
    assert Requests(home.settings.store_url).between("tiny", *around) == Asked(answered=len(kept.answers))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="children are found in /proc")
def test_a_worker_that_dies_is_replaced(home, ended):
    process = start(home, "--workers", "2")
    ended.append(process)
    _, address = lines_until_served(process)
    (children,) = (Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split(),)
    os.kill(int(children[0]), signal.SIGKILL)
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        now = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if len(now) == 2 and children[0] not in now:
            break
        time.sleep(0.05)
    else:
        pytest.fail("nobody took its place")
    assert httpx.post(f"{address}/predict", json=ROW).status_code == 200
    process.send_signal(signal.SIGINT)
    assert process.wait(_SECONDS) == 0


@pytest.mark.parametrize(
    ("options", "why"), [({"host": "0.0.0.0"}, "serve-key"), ({"host": "0.0.0.0", "keys": Path("nowhere")}, "nowhere")]
)
def test_an_unsafe_start_is_refused_before_anything_is_loaded(project, options, why):
    with pytest.raises(UserError, match=why):
        run(ServeOptions((project.model,), port=0, **options), project.settings)


def test_a_model_without_a_champion_is_not_served(project):
    with pytest.raises(UserError, match="evergreen run"):
        run(ServeOptions((), "127.0.0.1", 0), project.settings)
