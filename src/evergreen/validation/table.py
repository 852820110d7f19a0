"""Checks of the whole table: how many rows, how new, how often the same, and are there labels to learn from."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from evergreen.checks import Check, Outcome
from evergreen.data.snapshot import Snapshot
from evergreen.spec.base import format_duration
from evergreen.spec.columns import RowRules
from evergreen.validation.rules import FIRST

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

# More repeated rows than this are worth a word where no max_duplicate_share is declared.
MANY_DUPLICATES = 0.05


def check_rows(rows: int, rules: RowRules) -> Check:
    """The row count against its floor and its ceiling.

    >>> check_rows(12, RowRules(at_least=500)).why
    '12 rows, wanted at least 500'
    """
    bound = f"≥ {rules.at_least:,}" + ("" if rules.at_most is None else f", ≤ {rules.at_most:,}")
    if rows < rules.at_least:
        return Check("rows", Outcome.FAIL, float(rows), bound, f"{rows:,} rows, wanted at least {rules.at_least:,}")
    if rules.at_most is not None and rows > rules.at_most:
        return Check("rows", Outcome.FAIL, float(rows), bound, f"{rows:,} rows, wanted at most {rules.at_most:,}")
    return Check("rows", Outcome.PASS, float(rows), bound, f"{rows:,} rows")


def check_freshness(snapshot: Snapshot, limit: timedelta | None) -> Iterator[Check]:
    """The age of the newest row, in days, as_of the snapshot's moment. UNKNOWN without a time column."""
    if limit is None:
        return
    bound = f"≤ {format_duration(limit)}"
    if snapshot.last_time is None:
        why = "the age of a row cannot be told: the spec names no data.time_column, or no row has a time"
        yield Check("freshness", Outcome.UNKNOWN, None, bound, why)
        return
    age = snapshot.as_of - snapshot.last_time
    days = age.total_seconds() / 86400
    newest, now = (f"{moment:%Y-%m-%d %H:%M}" for moment in (snapshot.last_time, snapshot.as_of))
    why = f"the newest row is of {newest} UTC, {days:.3g} days before {now}"
    yield Check("freshness", Outcome.FAIL if age > limit else Outcome.PASS, days, bound, why)


def check_labels(target: "pd.Series", task: str, min_share: float) -> Iterator[Check]:
    """Enough labels to learn from: some at all, two classes or values, and every class with its share.

    Rows whose label is not known are not counted.
    """
    labels = target.dropna()
    why = f"{target.name}: {len(labels):,} of {len(target):,} rows have a label"
    yield Check("labels", Outcome.PASS if len(labels) else Outcome.FAIL, float(len(labels)), "≥ 1", why)
    if len(labels):
        yield from _check_classes(labels, min_share) if task == "classification" else _check_values(labels)


def check_unique_key(frame: "pd.DataFrame", key: Sequence[str] | None) -> Iterator[Check]:
    """Columns that together name a row once. A null is a value like any other here."""
    if not key:
        return
    repeats = frame.duplicated(subset=list(key)).to_numpy().nonzero()[0]
    why = f"{', '.join(key)}: {len(repeats):,} of {len(frame):,} rows repeat an earlier key"
    if len(repeats):
        shown = (f"row {row} ({', '.join(str(frame[name].iloc[row]) for name in key)})" for row in repeats[:FIRST])
        why += f"; first: {', '.join(shown)}"
    outcome = Outcome.FAIL if len(repeats) else Outcome.PASS
    yield Check("unique key", outcome, float(len(repeats)), "each key once", why)


def check_duplicates(frame: "pd.DataFrame", limit: float | None) -> Check:
    """Share of rows that repeat an earlier row in every column of the spec."""
    repeats = _repeated(frame)
    count = int(repeats.sum())
    share = count / len(frame)
    bound = MANY_DUPLICATES if limit is None else limit
    first = f"; first: {', '.join(f'row {row}' for row in repeats.nonzero()[0][:FIRST])}" if count else ""
    why = f"{count:,} of {len(frame):,} rows repeat an earlier row in every column{first}"
    outcome = Outcome.FAIL if share > bound else Outcome.PASS
    return Check("duplicate rows", outcome, share, f"share ≤ {bound:g}", why)


def _check_classes(labels: "pd.Series", min_share: float) -> Iterator[Check]:
    counts = labels.value_counts()
    counts = counts[counts > 0]
    shown = ", ".join(f"{name} {count / len(labels):.1%}" for name, count in counts.head(6).items())
    several = Outcome.PASS if len(counts) > 1 else Outcome.FAIL
    yield Check("classes", several, float(len(counts)), "≥ 2", f"{labels.name}: {_classes(len(counts))} ({shown})")
    if min_share > 0:
        least = counts.iloc[-1] / len(labels)
        why = f"{labels.name}: class {counts.index[-1]} has {counts.iloc[-1]:,} of {len(labels):,} labels ({least:.1%})"
        outcome = Outcome.FAIL if least < min_share else Outcome.PASS
        yield Check("class balance", outcome, float(least), f"share ≥ {min_share:g}", why)


def _classes(count: int) -> str:
    return f"{count} classes" if count > 1 else "one class only"


def _check_values(labels: "pd.Series") -> Iterator[Check]:
    varies = bool((labels != labels.iloc[0]).any())
    why = f"{labels.name}: " + ("labels vary" if varies else f"every label is {labels.iloc[0]:g}")
    yield Check("label values", Outcome.PASS if varies else Outcome.FAIL, None, "two values or more", why)


def _repeated(frame: "pd.DataFrame") -> "np.ndarray":
    # Hashing rows costs a fifth of comparing them; 64 bits do not collide at any size that fits in memory.
    from pandas.util import hash_pandas_object

    return hash_pandas_object(frame, index=False).duplicated().to_numpy()
