"""The retraining flow against bare scripts that do the same stages without Prefect. Prints Markdown.

    python benchmarks/retrain/run.py --rows 100000 --repeat 3

Contestants take turns, each in a process of its own, all of them as the second run of a model that has a champion.
See benchmarks/README.md for what is measured and how.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from processes import tree_cpu
from server import prefect_server, stop
from stages import STAGES
from workload import Place

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent
WORK = HERE.parent / ".work" / "retrain"
TITLES = {
    "flow": "flow, server runs elsewhere",
    "flow_embedded": "flow, embedded server",
    "without_prefect": "flow, Prefect cut out",
    "careful": "careful script",
    "naive": "naive script",
}
SCRIPTS = {"flow_embedded": "flow"}
WITH_SERVER = ("flow",)
LIMIT_SECONDS = 3600


@dataclass(frozen=True)
class Result:
    """One measured run; `stages` maps a name to its seconds of CPU and wall, `server_cpu` is a shared server's."""

    cpu: float
    wall: float
    peak_mb: float
    server_cpu: float
    stages: dict[str, dict[str, float]]


def environment(place: Place, contestant: str, url: str | None) -> dict[str, str]:
    """The same bounds on threads for all: unbounded ones fight over shared cores and lose."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "EVERGREEN_", "MLFLOW_"))}
    home = place.home(contestant)
    return kept | {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "passive",
        "DO_NOT_TRACK": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
        "MPLBACKEND": "Agg",
        "PYTHONPATH": str(PROJECT / "src"),
        "EVERGREEN_HOME": str(home),
        "EVERGREEN_CONFIGS": str(place.configs),
        "PREFECT_HOME": str(home / "prefect"),
        **({"PREFECT_API_URL": url} if url else {}),
    }


def start(place: Place, contestant: str, moment: str, url: str | None) -> dict[str, Any]:
    """One run of a contestant in a process of its own: what it took, and its stages."""
    script = HERE / f"{SCRIPTS.get(contestant, contestant)}.py"
    total, stages = place.root / f"{contestant}-total.json", place.root / f"{contestant}-stages.json"
    command = [sys.executable, str(HERE / "processes.py"), str(total)]
    command += [sys.executable, str(script), str(place.root), moment, str(stages)]
    with (place.root / f"{contestant}-{moment}.log").open("w") as log:
        process = subprocess.Popen(
            command, env=environment(place, contestant, url), cwd=PROJECT, stdout=log, stderr=log
        )
        try:
            process.wait(LIMIT_SECONDS)
        finally:
            stop(process)
    if process.returncode != 0:
        raise RuntimeError(f"{contestant} failed; see {log.name}")
    return json.loads(total.read_text()) | {"stages": json.loads(stages.read_text())}


def measure(place: Place, contestant: str, server: tuple[str, int] | None) -> Result:
    """The second run of a contestant, from the state that its first run left."""
    url, pid = server if server and contestant in WITH_SERVER else (None, None)
    home, kept = place.home(contestant), place.home(f"{contestant}.first")
    if not kept.exists():
        shutil.rmtree(home, ignore_errors=True)
        start(place, contestant, "before", url)
        shutil.copytree(home, kept)
    shutil.rmtree(home)
    shutil.copytree(kept, home)
    before = tree_cpu(pid) if pid else 0.0
    found = start(place, contestant, "now", url)
    after = tree_cpu(pid) if pid else 0.0
    return Result(found["cpu"], found["wall"], found["peak_mb"], after - before, found["stages"])


@contextmanager
def shared_server(place: Place, contestants: list[str]) -> Iterator[tuple[str, int] | None]:
    """A server, if any contestant needs one."""
    if not set(WITH_SERVER) & set(contestants):
        yield None
        return
    with prefect_server(place.home("server")) as server:
        yield server


def middle(results: list[Result]) -> Result:
    """Medians over repeated runs."""
    stages = {
        name: {unit: median(r.stages.get(name, {}).get(unit, 0.0) for r in results) for unit in ("cpu", "wall")}
        for name in STAGES
    }
    values = {unit: median(getattr(r, unit) for r in results) for unit in ("cpu", "wall", "peak_mb", "server_cpu")}
    return Result(**values, stages=stages)


def overview(found: dict[str, Result]) -> Iterator[str]:
    """Lines of the table of totals."""
    yield "| | CPU s | ÷ careful | ÷ naive | wall s | peak MB | ÷ careful | shared server's CPU s |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    careful, naive = found.get("careful"), found.get("naive")
    for name, r in found.items():
        against = [_ratio(r.cpu, careful and careful.cpu), _ratio(r.cpu, naive and naive.cpu)]
        memory = _ratio(r.peak_mb, careful and careful.peak_mb)
        server = f"{r.server_cpu:.1f}" if name in WITH_SERVER else "–"
        yield (
            f"| {TITLES[name]} | {r.cpu:.1f} | {' | '.join(against)} | {r.wall:.0f} | {r.peak_mb:.0f} | {memory} "
            f"| {server} |"
        )


def breakdown(found: dict[str, Result]) -> Iterator[str]:
    """Lines of the table of stages."""
    yield f"| CPU s (wall s) | {' | '.join(TITLES[name] for name in found)} |"
    yield f"| --- |{' ---: |' * len(found)}"
    for stage in STAGES:
        cells = [f"{r.stages[stage]['cpu']:.1f} ({r.stages[stage]['wall']:.1f})" for r in found.values()]
        yield f"| {stage} | {' | '.join(cells)} |"


def _ratio(value: float, base: float | None) -> str:
    return f"{value / base:.2f}" if base else "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000])
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--contestants", nargs="+", choices=list(TITLES), default=list(TITLES))
    parser.add_argument("--work", type=Path, default=WORK, help="Scratch space; deleting it is safe.")
    parser.add_argument("--fresh", action="store_true", help="Make champions again, after code has changed.")
    arguments = parser.parse_args()
    # Told to end, it still stops what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for rows in arguments.rows:
        place = Place(arguments.work.absolute() / str(rows))
        place.root.mkdir(parents=True, exist_ok=True)
        _write_tables(rows, place)
        if arguments.fresh:
            for name in arguments.contestants:
                shutil.rmtree(place.home(f"{name}.first"), ignore_errors=True)
        found = _race(place, arguments.contestants, arguments.repeat)
        print(f"\n### {rows:,} rows × 30 columns, median of {arguments.repeat}\n")
        print("\n".join([*overview(found), "", *breakdown(found)]), flush=True)


def _race(place: Place, contestants: list[str], repeat: int) -> dict[str, Result]:
    runs: dict[str, list[Result]] = {name: [] for name in contestants}
    with shared_server(place, contestants) as server:
        for turn in range(repeat):
            for name in contestants:
                result = measure(place, name, server)
                runs[name].append(result)
                say = (
                    f"{name} {turn + 1}/{repeat}: {result.cpu:.1f} s CPU, {result.wall:.0f} s, {result.peak_mb:.0f} MB"
                )
                print(say, file=sys.stderr, flush=True)
    return {name: middle(results) for name, results in runs.items()}


def _write_tables(rows: int, place: Place) -> None:
    code = "import sys; from pathlib import Path; from tables import write; from workload import Place; "
    code += "write(int(sys.argv[1]), Place(Path(sys.argv[2])))"
    path = os.pathsep.join([str(HERE), str(PROJECT / "src")])
    subprocess.run(
        [sys.executable, "-c", code, str(rows), str(place.root)], check=True, env=os.environ | {"PYTHONPATH": path}
    )


if __name__ == "__main__":
    main()
