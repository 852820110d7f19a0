"""How often drift is reported where there is none, and how often where there is: ours beside Evidently's defaults.

Each run draws a reference and a current window of 20 columns from one distribution and judges them. Prints Markdown.

    OMP_NUM_THREADS=1 python benchmarks/drift_false_alarms.py --runs 200 --evidently-runs 40
"""

import argparse
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
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
# One row of verdicts for each rule: per column True where it drifted.
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


def ours(reference: pd.DataFrame, current: pd.DataFrame) -> np.ndarray:
    """Two rows: the default rule, and the same without its effect floor."""
    profile, roles = build_profile(reference, TYPES), dict.fromkeys(TYPES, "input")
    results = [assess(current, profile, rules, roles) for rules in (OURS, TESTS_ALONE)]
    return np.array([[column.drifted for column in result.columns] for result in results])


def evidently(reference: pd.DataFrame, current: pd.DataFrame) -> np.ndarray:
    """The tests that Evidently's preset picks by itself, called as its report calls them, without the figures."""
    from evidently.legacy.calculations.stattests import get_stattest

    found = []
    warnings.filterwarnings("ignore", category=RuntimeWarning, module="scipy")
    for name, kind in TYPES.items():
        old, new = reference[name].dropna(), current[name].dropna()
        test = get_stattest(old, new, "cat" if kind == "category" else "num", None)
        found.append(test(old, new, "cat" if kind == "category" else "num", None).drifted)
    return np.array([found], dtype=bool)


@dataclass(frozen=True)
class Rates:
    """Shares of runs with any column flagged and with more than the limit; mean share of moved columns found."""

    any_column: float
    over_limit: float
    found: float


def rates(judge: Judge, sizes: tuple[int, int], runs: int, shift: float = 0.0) -> list[Rates]:
    """One for each row that the judge gives. `sizes` are current and reference rows."""
    flagged = []
    for run in range(runs):
        rng = np.random.default_rng([run, *sizes])
        reference = draw(rng, sizes[1])
        flagged.append(judge(reference, draw(rng, sizes[0], shift)))
    return [
        Rates(table.any(axis=1).mean(), (table.mean(axis=1) > LIMIT).mean(), table[:, :SHIFTED].mean())
        for table in np.array(flagged).transpose(1, 0, 2)
    ]


def false_alarms(runs: int, evidently_runs: int, largest: int) -> None:
    print(
        "| current | reference | ours | ours, no effect floor | ours, share over limit "
        "| Evidently | its share over limit |"
    )
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for sizes in product(CURRENT, REFERENCE):
        default, alone = rates(ours, sizes, runs)
        cells = [f"{default.any_column:.1%}", f"{alone.any_column:.1%}", f"{default.over_limit:.1%}", "–", "–"]
        if evidently_runs and max(sizes) <= largest:
            (theirs,) = rates(evidently, sizes, evidently_runs)
            cells[3:] = [f"{theirs.any_column:.0%}", f"{theirs.over_limit:.0%}"]
        print(f"| {sizes[0]:,} | {sizes[1]:,} | {' | '.join(cells)} |", flush=True)


def power(runs: int, evidently_runs: int) -> None:
    sizes = 5_000, 5_000
    print("\n| shift of 5 columns (sd) | ours | ours, no effect floor | Evidently |\n| ---: | ---: | ---: | ---: |")
    for shift in (0.05, 0.1, 0.2, 0.25, 0.3, 0.5):
        found = [r.found for r in rates(ours, sizes, runs, shift)]
        theirs = f"{rates(evidently, sizes, evidently_runs, shift)[0].found:.0%}" if evidently_runs else "–"
        print(f"| {shift:g} | {found[0]:.0%} | {found[1]:.0%} | {theirs} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100, help="repetitions of ours at each size")
    parser.add_argument("--evidently-runs", type=int, default=20, help="repetitions of Evidently; 0 leaves it out")
    parser.add_argument("--evidently-largest", type=int, default=5_000, help="largest side that Evidently is given")
    arguments = parser.parse_args()
    # Evidently's package reports its use over the network unless told not to.
    os.environ.setdefault("DO_NOT_TRACK", "1")
    false_alarms(arguments.runs, arguments.evidently_runs, arguments.evidently_largest)
    power(max(10, arguments.runs // 2), arguments.evidently_runs)


if __name__ == "__main__":
    sys.exit(main())
