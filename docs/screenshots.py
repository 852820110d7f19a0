"""Take the README's pictures anew: the report, the Prefect run and the MLflow run of the newest demo.

Run `make demo` first; needs Chromium. Servers are started on loopback over the embedded state and stopped again.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from evergreen.settings import Settings
from evergreen.store.ledger import Ledger

IMAGES = Path(__file__).parent / "images"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"]
OFFLINE = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
BIN = Path(sys.executable).parent


def main() -> None:
    """Write one PNG a page into docs/images."""
    if CHROMIUM is None:
        sys.exit("no Chromium found; on Debian: apt-get install chromium")
    settings = Settings.from_environment()
    entries = [e for e in Ledger(settings.store_url).entries("flights") if e.mlflow_run and e.flow_run]
    if not entries:
        sys.exit("the ledger has no run of flights; run `make demo` first")
    entry = entries[0]
    report = next((settings.reports / "flights").glob(f"*-{str(entry.mlflow_run)[:8]}")) / "report.html"
    shoot(report.as_uri(), "report.png", (1100, 1500))
    prefect_home = {"PREFECT_HOME": str(settings.home / "prefect"), "PREFECT_UI_API_URL": "/api"}
    command = [str(BIN / "prefect"), "server", "start", "--port"]
    with serving(command, prefect_home) as url:
        shoot(f"{url}/runs/flow-run/{entry.flow_run}?tab=Artifacts", "prefect.png", (1400, 950), seconds=25)
    command = [str(BIN / "mlflow"), "server", "--backend-store-uri", settings.tracking_uri, "--workers", "1", "--port"]
    with serving(command, {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}) as url:
        shoot(f"{url}/#/models/flights/versions/{entry.version}", "mlflow.png", (1400, 1000), seconds=25)


def shoot(url: str, name: str, size: tuple[int, int], seconds: int = 5) -> None:
    """One page into one PNG; `seconds` of the page's own time are given to its scripts."""
    with tempfile.TemporaryDirectory() as profile:
        window, budget = f"--window-size={size[0]},{size[1]}", f"--virtual-time-budget={seconds * 1000}"
        options = [*QUIET, *OFFLINE, window, budget, f"--user-data-dir={profile}", f"--screenshot={IMAGES / name}"]
        subprocess.run([str(CHROMIUM), *options, url], check=True, capture_output=True, timeout=180)
    print(f"docs/images/{name}")


@contextmanager
def serving(command: list[str], environment: dict[str, str]) -> Iterator[str]:
    """The address of a server that is ready, and is stopped at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([*command, str(port)], env={**os.environ, **environment}, stdout=quiet, stderr=quiet)
    try:
        yield ready(f"http://127.0.0.1:{port}", process)
    finally:
        process.terminate()
        process.wait(timeout=30)


def ready(url: str, process: "subprocess.Popen[bytes]", timeout_seconds: float = 120) -> str:
    """The address, once something answers there."""
    deadline = time.monotonic() + timeout_seconds
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urlopen(url, timeout=5):
                return url
        except (URLError, OSError):
            time.sleep(0.5)
    raise SystemExit(f"{url} did not start")


if __name__ == "__main__":
    main()
