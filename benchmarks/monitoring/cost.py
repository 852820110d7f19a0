"""What looking at a window costs: captured rows from the store to the signals of drift, beside the bare statistics.

Rows came in requests of one, 2,000 to a group, as serving writes them, into SQLite. Every step has a process of its
own; CPU and memory are that process', memory its peak above what imports take. Prints Markdown; what came out is in
docs/monitoring.md.

    OMP_NUM_THREADS=1 python benchmarks/monitoring/cost.py --rows 100000 1000000
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from evergreen.drift.profile import Profile, build_profile
from evergreen.monitoring.drift import Yardstick, measure_counts, measure_drift
from evergreen.monitoring.frame import join_frames, to_frame, to_predictions
from evergreen.spec.columns import PREDICTION, ColumnType
from evergreen.spec.monitoring import DriftPolicy
from evergreen.store.ledger import Ledger
from evergreen.store.prediction import Prediction, Role
from evergreen.store.traffic import Traffic
from evergreen.store.traffic_writer import TrafficWriter

SINCE = datetime(2026, 3, 2, tzinfo=UTC)
UNTIL = SINCE + timedelta(days=30)
NUMBERS, LABELS = 20, 10
REFERENCE, AT_ONCE = 50_000, 50_000
TYPES: dict[str, ColumnType] = {f"n{i}": "number" for i in range(NUMBERS)} | {
    f"c{i}": "category" for i in range(LABELS)
}
CLASSES = ("no", "yes")
STEPS = {
    "read": "the rows are read from the store",
    "drift by chunks": "read, made frames of, counted chunk by chunk, measured",
    "drift at once": "the same with all frames joined first",
    "counted": "drift alone, of a frame in memory",
    "bare": "scipy's KS and chi-square against the reference, of a frame in memory",
}


def draw(rows: int, seed: int) -> pd.DataFrame:
    """Numbers of four decimals, and labels: 3 in the first such column, 48 in the last."""
    rng = np.random.default_rng(seed)
    numbers = {f"n{i}": rng.normal(size=rows).round(4) for i in range(NUMBERS)}
    labels = {f"c{i}": pd.Categorical([f"v{k}" for k in rng.integers(0, 3 + 5 * i, rows)]) for i in range(LABELS)}
    return pd.DataFrame(numbers | labels)


def answers_of(frame: pd.DataFrame) -> np.ndarray:
    return (1 / (1 + np.exp(-frame["n0"]))).to_numpy()


def fill(folder: Path, rows: int) -> None:
    """The store with so many captured rows, and the reference. Rows repeat after 50,000; their answers do not cost."""
    url = _url(folder)
    Ledger(url).prepare()
    draw(REFERENCE, 0).pipe(lambda f: f.assign(**{PREDICTION: answers_of(f)})).to_parquet(folder / "reference.parquet")
    frame = draw(min(rows, AT_ONCE), 1)
    chances, inputs = answers_of(frame), frame.astype(dict.fromkeys(frame.select_dtypes("category"), object))
    records = inputs.to_dict("records")
    step = (UNTIL - SINCE) / (rows + 1)
    with TrafficWriter(url) as writer:
        for start in range(0, rows, AT_ONCE):
            batch = [
                _prediction(place, step, records[place % AT_ONCE], float(chances[place % AT_ONCE]))
                for place in range(start, min(rows, start + AT_ONCE))
            ]
            writer.write(batch, UNTIL)


def _prediction(place: int, step: timedelta, inputs: dict[str, object], chance: float) -> Prediction:
    request, both = f"69a77600ab12-{place:x}", {"no": 1 - chance, "yes": chance}
    label, at = CLASSES[chance > 0.5], SINCE + place * step
    return Prediction(f"{request}.0", request, "bench", 1, Role.CHAMPION, at, inputs, label, both, latency_ms=1.2)


def _url(folder: Path) -> str:
    return f"sqlite:///{folder / 'evergreen.db'}"


def prepare(step: str, rows: int, folder: Path) -> Callable[[], object]:
    """Everything up to the step."""
    reference = pd.read_parquet(folder / "reference.parquet")
    profile = build_profile(reference, {**TYPES, PREDICTION: "number"})
    roles = {**dict.fromkeys(TYPES, "input"), PREDICTION: "prediction"}
    yardstick = Yardstick(profile, reference, roles, {}, DriftPolicy(), seed=0)
    if step == "read":
        return lambda: sum(chunk.rows for chunk in Traffic(_url(folder)).chunks("bench", SINCE, UNTIL))
    if step == "drift by chunks":
        return lambda: _by_chunks(folder, yardstick)
    if step == "drift at once":
        return lambda: _at_once(folder, yardstick, profile)
    current = draw(rows, 1)
    current = current.assign(**{PREDICTION: answers_of(current)})
    if step == "counted":
        return lambda: measure_counts(yardstick.begin().add(current), yardstick)
    return lambda: _bare(current, reference)


def _frames(folder: Path) -> Iterator[pd.DataFrame]:
    for chunk in Traffic(_url(folder)).chunks("bench", SINCE, UNTIL):
        frame = to_frame(chunk, TYPES)
        yield frame.assign(**{PREDICTION: to_predictions(chunk.answers, CLASSES, "number")})


def _by_chunks(folder: Path, yardstick: Yardstick) -> object:
    counts = yardstick.begin()
    for frame in _frames(folder):
        counts = counts.add(frame)
    return measure_counts(counts, yardstick)


def _at_once(folder: Path, yardstick: Yardstick, profile: Profile) -> object:
    frame = join_frames(list(_frames(folder)))
    given = (yardstick.reference, profile, yardstick.roles, {}, yardstick.rules, 0)
    return measure_drift(frame, *given)


def _bare(current: pd.DataFrame, reference: pd.DataFrame) -> list[float]:
    from scipy import stats

    found = []
    for name in current.columns:
        old, new = reference[name], current[name]
        if isinstance(new.dtype, pd.CategoricalDtype):
            sides = [side.value_counts().reindex(new.cat.categories, fill_value=0) for side in (old, new)]
            found.append(stats.chi2_contingency(np.array(sides)).pvalue)
        else:
            found.append(stats.ks_2samp(old, new, method="asymp").pvalue)
    return found


def measure(step: str, rows: int, folder: Path) -> dict[str, float]:
    run = prepare(step, rows, folder)
    before, cpu, clock = _peak_mb(), time.process_time(), time.perf_counter()
    run()
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - clock, "before": before, "peak": _peak_mb()}


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_a_process(step: str, rows: int, folder: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--one", step, "--rows", str(rows), "--folder", str(folder)]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--one", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one, arguments.rows[0], arguments.folder)))
        return
    print("| rows × 30 | step | CPU s | ÷ bare | MB before | MB at peak |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory() as folder:
            fill(Path(folder), rows)
            found = {step: in_a_process(step, rows, Path(folder)) for step in STEPS}
        for step, m in found.items():
            figures = f"{m['cpu']:.2f} | {m['cpu'] / found['bare']['cpu']:.1f} | {m['before']:.0f} | {m['peak']:.0f}"
            print(f"| {rows:,} | {STEPS[step]} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
