"""CPU per request of the process tree, beside `mlflow models serve` of the same model.

Both have one worker, and Evergreen captures into SQLite. The client is a process of its own. Trust ratios and CPU time:
on a shared machine seconds say little. `python benchmarks/serving/load.py --help`
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import workload

HERE = Path(__file__).parent
CASES = {"1 row, 1": (1, 1), "1 row, 16": (1, 16), "1 row, 64": (1, 64), "1000 rows, 1": (1000, 1)}


@contextmanager
def serving(command: list[str], url: str, environment: dict[str, str]) -> Iterator[psutil.Process]:
    """A server, once it answers at an address; ended afterwards with all its children."""
    with tempfile.TemporaryFile() as log, subprocess.Popen(command, env=environment, stdout=log, stderr=log) as started:
        process = psutil.Process(started.pid)
        try:
            wait_for(url, started)
            yield process
        finally:
            family = [process, *process.children(recursive=True)] if process.is_running() else []
            for one in reversed(family):
                one.terminate()
            psutil.wait_procs(family, timeout=20)


def wait_for(url: str, started: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if started.poll() is not None:
            sys.exit(f"{started.args}: ended with {started.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    sys.exit(f"{url} does not answer")


def cpu_seconds(process: psutil.Process) -> float:
    """Of the process and its children, those that ended among them."""
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        times = one.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
    return total


def peak_megabytes(process: psutil.Process) -> float:
    """The largest that the tree's processes were, each for itself, added."""
    peaks = 0.0
    for one in (process, *process.children(recursive=True)):
        status = Path(f"/proc/{one.pid}/status").read_text()
        peaks += int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024
    return peaks


def measure(process: psutil.Process, port: int, path: str, bodies: list[bytes], connections: int, seconds: float):
    """CPU milliseconds a request, and what the client saw."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump([body.decode() for body in bodies], file)
        file.flush()
        client = [sys.executable, str(HERE / "client.py"), str(port), path, str(connections)]
        # A first, short one: whatever is made at the first use is made then.
        subprocess.run([*client, str(min(1.0, seconds)), file.name], check=True, capture_output=True)
        before = cpu_seconds(process)
        done = subprocess.run([*client, str(seconds), file.name], check=True, capture_output=True, text=True)
        spent = cpu_seconds(process) - before
    seen = json.loads(done.stdout)
    return {"cpu_ms": round(1000 * spent / max(1, seen["answers"]), 4), **seen}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--kinds", default="logistic_regression,hist_gradient_boosting")
    asked.add_argument("--seconds", type=float, default=5.0)
    asked.add_argument("--port", type=int, default=8950)
    asked.add_argument("--only", choices=["evergreen", "mlflow"], help="One of the two servers.")
    asked.add_argument("--json", type=Path, help="Write every figure there.")
    options = asked.parse_args()
    figures = {}
    for kind in options.kinds.split(","):
        with tempfile.TemporaryDirectory() as folder:
            figures[kind] = run_kind(Path(folder), kind, options)
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2))


def run_kind(home: Path, kind: str, options: argparse.Namespace):
    model = workload.prepare(home, kind)
    figures = {}
    for name, (command, health, path) in servers(model, options.port).items():
        if options.only not in (None, name):
            continue
        environment = {**os.environ, "EVERGREEN_HOME": str(home), "EVERGREEN_CONFIGS": str(home / "configs")}
        environment |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
        # MLflow starts uvicorn by its name.
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        with serving(command, f"http://127.0.0.1:{options.port}{health}", environment) as process:
            for case, (rows, connections) in CASES.items():
                ours, theirs = workload.bodies(rows, 100 if rows == 1 else 4)
                bodies = ours if name == "evergreen" else theirs
                found = measure(process, options.port, path, bodies, connections, options.seconds)
                figures.setdefault(case, {})[name] = found
                print(f"{kind:24} {case:14} {name:10} {found}", flush=True)
            figures.setdefault("peak_megabytes", {})[name] = round(peak_megabytes(process))
            print(f"{kind:24} {'peak MB':14} {name:10} {figures['peak_megabytes'][name]}", flush=True)
    for case in CASES:
        if len(figures[case]) == 2:
            ratio = figures[case]["mlflow"]["cpu_ms"] / figures[case]["evergreen"]["cpu_ms"]
            print(f"{kind:24} {case:14} {ratio:.1f} times less CPU", flush=True)
    return figures


def servers(model: Path, port: int) -> dict[str, tuple[list[str], str, str]]:
    """Command, address of its health, and path of predictions."""
    ours = [sys.executable, "-m", "evergreen.cli.main", "serve", workload.NAME, "--port", str(port)]
    mlflow = [str(Path(sys.executable).with_name("mlflow")), "models", "serve", "-m", str(model)]
    mlflow += ["--env-manager", "local", "-p", str(port), "-w", "1"]
    return {"evergreen": (ours, "/ready", "/predict"), "mlflow": (mlflow, "/health", "/invocations")}


if __name__ == "__main__":
    main()
