"""A Prefect server of our own on a loopback port, as a team would run it once for all its flows."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from processes import descendants

_START_SECONDS = 180.0
_STOP_SECONDS = 20.0


@contextmanager
def prefect_server(folder: Path) -> Iterator[tuple[str, int]]:
    """The URL of its API and its process id; the server and all below it are gone afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    url = f"http://127.0.0.1:{port}/api"
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    environment = os.environ | {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "true",
    }
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            _wait_until_healthy(url, process)
            yield url, process.pid
        finally:
            stop(process)


def _wait_until_healthy(url: str, process: "subprocess.Popen[bytes]") -> None:
    patient_until = time.monotonic() + _START_SECONDS
    while time.monotonic() < patient_until:
        if process.poll() is not None:
            raise RuntimeError("the Prefect server ended at once; see server.log")
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise RuntimeError(f"the Prefect server did not answer within {_START_SECONDS:g} s")


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End a process of ours and all below it."""
    below = descendants(process.pid)
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid in below[1:]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
