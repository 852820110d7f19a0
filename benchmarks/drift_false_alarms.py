"""How often drift is reported where there is none, and how often where there is: ours beside Evidently's defaults.

Each run draws a reference and a current window of 20 columns from one distribution and judges them. Prints Markdown.

    OMP_NUM_THREADS=1 python benchmarks/drift_false_alarms.py --runs 200 --evidently-runs 40
"""

import argparse
import os
import sys
import warnings
from collections.abc import Callable
from itertools import product

import numpy as np
import pandas as pd

from evergreen.drift.assess import assess
from evergreen.drift.profile import build_profile
from evergreen.spec.columns import ColumnType
from evergreen.spec.rules import DriftRules

CURRENT = (200, 500, 1_000, 2_000, 5_000, 20_000, 100_000)
REFERENCE = (500, 5_000, 50_000)
# The default would answer UNKNOWN below 500 rows.
OURS = DriftRules(min_rows=1)
TESTS_ALONE = DriftRules(min_rows=1, min_effect=0.0)
LIMIT = OURS.max_share
SHIFTED = 5
# Per column 1 drifted, 0 not.
Judge = Callable[[pd.DataFrame, pd.DataFrame], np.ndarray]


def draw(rng: np.random.Generator, rows: int, shift: float = 0.0) -> pd.DataFrame:
    """12 numeric and 8 categorical columns; the first five numeric ones are moved by `shift` standard deviations."""
    columns: dict[str, object] = {f"normal_{i}": rng.normal(shift, 1, rows) for i in range(SHIFTED)}
    columns["lognormal"] = rng.lognormal(0, 1, rows)
    columns["heavy"] = rng.standard_t(2, rows)
    columns["count"] = rng.poisson(3, rows).astype(float)
    columns["flag"] = (rng.random(rows) < 0.1).astype(float)
    columns["zeros"] = np.where(rng.random(rows) < 0.6, 0.0, rng.exponential(size=rows))
    columns["nulls"] = np.where(rng.random(rows) < 0.2, np.nan, rng.normal(size=rows))
    columns["rounded"] = rng.normal(0, 10, rows).round()
    for labels in (2, 3, 5, 10, 30, 100, 300):
        columns[f"labels_{labels}"] = _categories(rng.integers(0, labels, rows), labels)
    columns["labels_zipf"] = _categories(np.minimum(rng.zipf(1.5, rows), 2_000) - 1, 2_000)
    return pd.DataFrame(columns)


def _categories(codes: np.ndarray, labels: int) -> pd.Categorical:
    return pd.Categorical.from_codes(codes, [f"v{i}" for i in range(labels)])


TYPES: dict[str, ColumnType] = {
    name: "category" if name.startswith("labels") else "number" for name in draw(np.random.default_rng(0), 1).columns
}


def ours(rules: DriftRules) -> Judge:
    def judge(reference: pd.DataFrame, current: pd.DataFrame) -> np.ndarray:
        result = assess(current, build_profile(reference, TYPES), rules, dict.fromkeys(TYPES, "input"))
        return np.array([column.drifted for column in result.columns])

    return judge


def evidently(reference: pd.DataFrame, current: pd.DataFrame) -> np.ndarray:
    """The tests that Evidently's preset picks by itself, called as its report calls them, without the figures."""
    from evidently.legacy.calculations.stattests import get_stattest

    found = []
    warnings.filterwarnings("ignore", category=RuntimeWarning, module="scipy")
    for name, kind in TYPES.items():
        old, new = reference[name].dropna(), current[name].dropna()
        test = get_stattest(old, new, "cat" if kind == "category" else "num", None)
        found.append(test(old, new, "cat" if kind == "category" else "num", None).drifted)
    return np.array(found, dtype=bool)


def rates(judge: Judge, sizes: tuple[int, int], runs: int, shift: float = 0.0) -> tuple[float, float, float]:
    """Shares of runs with any column flagged and with more than the limit; mean share of moved columns found."""
    flagged = []
    for run in range(runs):
        rng = np.random.default_rng([run, *sizes])
        reference = draw(rng, sizes[1])
        flagged.append(judge(reference, draw(rng, sizes[0], shift)))
    table = np.array(flagged)
    return float(table.any(axis=1).mean()), float((table.mean(axis=1) > LIMIT).mean()), float(table[:, :SHIFTED].mean())


def false_alarms(runs: int, evidently_runs: int, largest: int) -> None:
    print(
        "| current | reference | ours | ours, no effect floor | ours, share over limit "
        "| Evidently | its share over limit |"
    )
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for current, reference in product(CURRENT, REFERENCE):
        sizes = current, reference
        any_ours, over, _ = rates(ours(OURS), sizes, runs)
        alone, _, _ = rates(ours(TESTS_ALONE), sizes, runs)
        cells = [f"{any_ours:.1%}", f"{alone:.1%}", f"{over:.1%}"]
        if evidently_runs and current <= largest:
            any_theirs, their_share, _ = rates(evidently, sizes, evidently_runs)
            cells += [f"{any_theirs:.0%}", f"{their_share:.0%}"]
        else:
            cells += ["–", "–"]
        print(f"| {current:,} | {reference:,} | {' | '.join(cells)} |", flush=True)


def power(runs: int, evidently_runs: int) -> None:
    sizes = 5_000, 5_000
    print("\n| shift of 5 columns (sd) | ours | ours, no effect floor | Evidently |\n| ---: | ---: | ---: | ---: |")
    for shift in (0.05, 0.1, 0.2, 0.25, 0.3, 0.5):
        found = [rates(judge, sizes, runs, shift)[2] for judge in (ours(OURS), ours(TESTS_ALONE))]
        theirs = f"{rates(evidently, sizes, evidently_runs, shift)[2]:.0%}" if evidently_runs else "–"
        print(f"| {shift:g} | {found[0]:.0%} | {found[1]:.0%} | {theirs} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100, help="repetitions of ours at each size")
    parser.add_argument("--evidently-runs", type=int, default=20, help="repetitions of Evidently; 0 leaves it out")
    parser.add_argument("--evidently-largest", type=int, default=5_000, help="largest window that Evidently is given")
    arguments = parser.parse_args()
    # Evidently's package reports its use over the network unless told not to.
    os.environ.setdefault("DO_NOT_TRACK", "1")
    false_alarms(arguments.runs, arguments.evidently_runs, arguments.evidently_largest)
    power(max(10, arguments.runs // 2), arguments.evidently_runs)


if __name__ == "__main__":
    sys.exit(main())
