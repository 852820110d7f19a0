"""What a drift decision costs: ours at full size against a plain Evidently report of the same frames.

Every measurement has a process of its own. CPU is that of the step alone, without imports and without making the
frames; memory is the peak of the process above what it held before the step. Prints Markdown.

    OMP_NUM_THREADS=1 python benchmarks/drift_cost.py --rows 10000 100000 1000000
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from evergreen.spec.columns import ColumnType

REFERENCE = 50_000
NUMBERS, LABELS = 20, 10
TYPES: dict[str, ColumnType] = {f"n{i}": "number" for i in range(NUMBERS)} | {
    f"c{i}": "category" for i in range(LABELS)
}
STEPS = ("profile", "decision", "report", "evidently", "evidently-full")


def draw(rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    numbers = {f"n{i}": rng.normal(0.02 * i * seed, 1, rows) for i in range(NUMBERS)}
    labels = {
        f"c{i}": pd.Categorical.from_codes(rng.integers(0, 3 + 5 * i, rows), [f"v{k}" for k in range(3 + 5 * i)])
        for i in range(LABELS)
    }
    return pd.DataFrame(numbers | labels)


def prepare(step: str, rows: int, folder: Path) -> Callable[[], object]:
    """Everything up to the step: frames, the stored profile, imports."""
    from evergreen.drift.assess import assess
    from evergreen.drift.profile import Profile, build_profile
    from evergreen.drift.report import render
    from evergreen.spec.rules import DriftRules

    current, reference = draw(rows, 1), draw(rows if step == "evidently-full" else REFERENCE, 0)
    rules, roles = DriftRules(), dict.fromkeys(TYPES, "input")
    if step == "profile":
        return lambda: build_profile(reference, TYPES).to_json()
    if step.startswith("evidently"):
        return _evidently(current, reference, folder)
    stored = build_profile(reference, TYPES).to_json()
    if step == "decision":
        return lambda: assess(current, Profile.from_json(stored), rules, roles)
    import evidently  # noqa: F401  its import is not the report's cost

    result = assess(current, Profile.from_json(stored), rules, roles)
    return lambda: render(result, current, reference, rules, folder)


def _evidently(current: pd.DataFrame, reference: pd.DataFrame, folder: Path) -> Callable[[], object]:
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    definition = DataDefinition(
        numerical_columns=[n for n in TYPES if n[0] == "n"], categorical_columns=[n for n in TYPES if n[0] == "c"]
    )

    def run() -> None:
        sides = [Dataset.from_pandas(frame, data_definition=definition) for frame in (current, reference)]
        Report([DataDriftPreset()]).run(*sides).save_html(str(folder / "evidently.html"))

    return run


def measure(step: str, rows: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        run = prepare(step, rows, Path(folder))
        before, started = _peak_mb(), _cpu()
        clock = time.perf_counter()
        run()
        return {"cpu": _cpu() - started, "wall": time.perf_counter() - clock, "before": before, "peak": _peak_mb()}


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def _peak_mb() -> float:
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024


def in_a_process(step: str, rows: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--one", step, "--rows", str(rows)]
    environment = os.environ | {"DO_NOT_TRACK": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--one", choices=STEPS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one, arguments.rows[0])))
        return
    print("| rows × 30 | step | CPU s | decisions for its CPU | MB before | MB at peak |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    for rows in arguments.rows:
        found = {step: in_a_process(step, rows) for step in arguments.steps}
        unit = found.get("decision", {}).get("cpu")
        for step, m in found.items():
            ratio = f"{m['cpu'] / unit:.1f}" if unit else "–"
            print(f"| {rows:,} | {step} | {m['cpu']:.2f} | {ratio} | {m['before']:.0f} | {m['peak']:.0f} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
