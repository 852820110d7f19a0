"""How often a window of traffic alarms where nothing moved, and where something did: ours beside Evidently's defaults.

A champion's reference is drawn, then windows of each size from the same distribution, then the same windows with
columns moved. Numeric columns depend on each other. Prints Markdown; what came out is in docs/monitoring.md.

    OMP_NUM_THREADS=1 python benchmarks/monitoring/drift_power.py --references 20 --windows 10
"""

import argparse
import os
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from evergreen.drift.profile import build_profile
from evergreen.monitoring.drift import Yardstick, measure_counts
from evergreen.monitoring.window_counts import WindowCounts
from evergreen.spec.columns import ColumnType
from evergreen.spec.monitoring import DriftPolicy

SIZES = (200, 500, 2_000, 10_000, 100_000)
NUMBERS, LABELS = 12, (2, 3, 5, 10, 30, 100, 300)
# The first weighs as much as all others, the last of the numbers hardly anything.
IMPORTANCE = {f"n{i}": 0.5**i for i in range(NUMBERS - 1)} | {"n11": 0.001} | {f"c{k}": 0.1 for k in LABELS}
IMPORTANCE["zipf"] = 0.1
TYPES: dict[str, ColumnType] = {name: "number" if name[0] == "n" else "category" for name in IMPORTANCE}
# Columns that are moved, and by how many standard deviations: small, medium, large.
MOVES: dict[str, tuple[Sequence[str], tuple[float, float, float]]] = {
    "one important column": (["n0"], (0.1, 0.25, 0.5)),
    "one unimportant column": (["n11"], (0.1, 0.25, 0.5)),
    # Not those whose values repeat: they would not move a little.
    "ten numbers a little": ([f"n{i}" for i in range(NUMBERS) if i not in (5, 6)], (0.03, 0.06, 0.12)),
}
Cases = list[tuple[str, Sequence[str], float]]
RULES = {"ours": DriftPolicy(), "ours, no floor": DriftPolicy(min_effect=0.0)}
# "any column" and "dataset drift": half of the columns or more.
EVIDENTLY = ("Evidently: any column", "Evidently: dataset")


def draw(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    """12 numbers of variance 1 that share a factor, 4 of them skewed or with nulls, and 8 columns of labels."""
    common = rng.normal(size=rows)
    columns: dict[str, object] = {f"n{i}": 0.6 * common + 0.8 * rng.normal(size=rows) for i in range(NUMBERS)}
    columns["n3"] = np.exp(columns["n3"]) / 2.16
    columns["n4"] = np.where(rng.random(rows) < 0.2, np.nan, columns["n4"])
    columns["n5"] = np.where(rng.random(rows) < 0.6, 0.0, columns["n5"])
    columns["n6"] = np.round(3 * np.asarray(columns["n6"])) / 3
    for labels in LABELS:
        columns[f"c{labels}"] = _categories(rng.integers(0, labels, rows), labels)
    columns["zipf"] = _categories(np.minimum(rng.zipf(1.5, rows), 2_000) - 1, 2_000)
    return pd.DataFrame(columns)


def _categories(codes: np.ndarray, labels: int) -> pd.Categorical:
    return pd.Categorical.from_codes(codes, [f"v{i}" for i in range(labels)])


def scenarios(moving: bool) -> Cases:
    """What is done to each window: its name, the columns, the shift."""
    cases: Cases = [("nothing", [], 0.0)]
    for name, (columns, shifts) in MOVES.items() if moving else ():
        cases += [(f"{name}, {shift:g} sd", columns, shift) for shift in shifts]
    return cases


def ours(yardsticks: Sequence[Yardstick], empty: WindowCounts, window: pd.DataFrame, cases: Cases) -> np.ndarray:
    """A row for each scenario: does each rule alarm? Columns that did not move are counted once, and where something
    moved the rule without a floor is not asked.
    """
    base = empty.add(window)
    found = [[measure_counts(base, yardstick)[0].raised for yardstick in yardsticks]]
    for _, names, by in cases[1:]:
        part = empty.add(window[list(names)] + by)
        counts = replace(base, counts={**base.counts, **{name: part.counts[name] for name in names}})
        found.append([measure_counts(counts, yardsticks[0])[0].raised, np.nan])
    return np.array(found, dtype=float)


def evidently(reference: pd.DataFrame, window: pd.DataFrame, cases: Cases) -> np.ndarray:
    """The same of the tests that Evidently's preset picks, called as its report calls them, without the figures."""
    base = {name: _evidently_column(reference[name], window[name], kind) for name, kind in TYPES.items()}
    found = []
    for _, names, by in cases:
        changed = {name: _evidently_column(reference[name], window[name] + by, TYPES[name]) for name in names}
        flagged = np.array(list({**base, **changed}.values()))
        found.append([flagged.any(), flagged.mean() >= 0.5])
    return np.array(found)


def _evidently_column(old: pd.Series, new: pd.Series, kind: ColumnType) -> bool:
    from evidently.legacy.calculations.stattests import get_stattest

    old, new, family = old.dropna(), new.dropna(), "cat" if kind == "category" else "num"
    test = get_stattest(old, new, family, None)
    return bool(test(old, new, family, None).drifted)


def measure(rows: int, given: argparse.Namespace, cases: Cases) -> tuple[np.ndarray, np.ndarray]:
    """Shares of windows that alarm, by scenario: ours, and Evidently's over so many windows as it is given in all."""
    mine, others = [], []
    for number in range(given.references):
        rng = np.random.default_rng([number, rows, given.reference])
        reference = draw(rng, given.reference)
        profile, roles = build_profile(reference, TYPES), dict.fromkeys(TYPES, "input")
        sticks = [Yardstick(profile, reference, roles, IMPORTANCE, rules, number) for rules in RULES.values()]
        empty = sticks[0].begin()
        for _ in range(given.windows):
            window = draw(rng, rows)
            mine.append(ours(sticks, empty, window, cases))
        if len(others) < given.evidently:
            others.append(evidently(reference, window, cases))
    return np.mean(mine, axis=0), np.mean(others, axis=0) if others else np.full((len(cases), 2), np.nan)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--references", type=int, default=20, help="champions, each with a reference of its own")
    parser.add_argument("--windows", type=int, default=10, help="windows of each size for each reference")
    parser.add_argument("--evidently", type=int, default=20, help="windows that Evidently looks at, one a reference")
    parser.add_argument("--reference", type=int, default=50_000, help="rows of a reference")
    parser.add_argument("--only-nothing", action="store_true", help="false alarms alone")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    arguments = parser.parse_args()
    # Evidently's package reports its use over the network unless told not to.
    os.environ.setdefault("DO_NOT_TRACK", "1")
    warnings.filterwarnings("ignore", category=RuntimeWarning, module="scipy")
    names = [*RULES, *EVIDENTLY]
    print(f"| rows | moved | {' | '.join(names)} |\n| ---: | --- |{' ---: |' * len(names)}")
    cases = scenarios(not arguments.only_nothing)
    for rows in arguments.sizes:
        started = time.process_time()
        table = np.hstack(measure(rows, arguments, cases))
        for (scenario, _, _), shares in zip(cases, table, strict=True):
            cells = ["–" if np.isnan(share) else f"{share:.1%}" for share in shares]
            print(f"| {rows:,} | {scenario} | {' | '.join(cells)} |", flush=True)
        print(f"{rows:,} rows took {time.process_time() - started:.0f} s of CPU", file=sys.stderr)


if __name__ == "__main__":
    main()
