"""Checks of single columns: what was declared about them, and what no feature may be."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from evergreen.checks import Check, Outcome
from evergreen.data.snapshot import Fault, Snapshot
from evergreen.spec.columns import TableRules
from evergreen.validation.rules import FIRST, Breach, ColumnRule, breach

if TYPE_CHECKING:
    import pandas as pd

# A column may hold this share of values that cannot be read when it declares no max_null_share.
UNREADABLE = 0.01


def check_types(snapshot: Snapshot, table: TableRules) -> Iterator[Check]:
    """Values that could not be read as the declared type.

    They are null in the snapshot, so they may be as frequent as nulls: up to the column's max_null_share, or
    1 % where none is declared. Below that the check passes and says how many there are.
    """
    if not snapshot.faults:
        yield Check("types", Outcome.PASS, 0.0, "every value as declared", "every value could be read as its type")
    for fault in snapshot.faults:
        # A row without a readable time is in no window, so that all rows of the source are asked about it.
        rows = snapshot.rows_read if fault.rule == "time" and snapshot.rows_read is not None else snapshot.rows
        yield _type_check(fault, rows, table)


def check_rule(rule: ColumnRule, values: "pd.Series") -> Check:
    """One declared rule on its column."""
    found = rule.breach(values)
    return judge_rule(rule, found, measure(rule, values, found))


def judge_rule(rule: ColumnRule, found: Breach, measured: float | None) -> Check:
    """The check of a rule of which all breaches are known."""
    if rule.kind == "max_null_share":
        return _null_check(rule, found)
    outcome = Outcome.FAIL if found.count else Outcome.PASS
    return Check(rule.name, outcome, measured, _bound(rule), _explain(rule, found))


def measure(rule: ColumnRule, values: "pd.Series", found: Breach) -> float | None:
    """The extreme for min and max, None where all are null; the count of broken rows otherwise."""
    if rule.kind not in ("min", "max"):
        return float(found.count)
    extreme = values.min() if rule.kind == "min" else values.max()
    return None if np.isnan(extreme) else float(extreme)


def check_finite(names: Iterable[str], frame: "pd.DataFrame") -> Iterator[Check]:
    """Infinite numbers fail: no estimator takes them, and no range of one side sees them."""
    for name in names:
        values = frame[name]
        if values.dtype != np.float64:
            continue
        found = breach(values, np.isinf(values.to_numpy()))
        if found.count:
            why = f"{name}: {_rows(found)} infinite{_first(found)}"
            yield Check(f"column {name}: finite", Outcome.FAIL, float(found.count), "no infinite value", why)


def check_filled(names: Sequence[str], frame: "pd.DataFrame") -> Iterator[Check]:
    """A feature without a single value fails: nothing can be learnt from it, and its feed is most likely broken."""
    empty = [name for name in names if frame[name].isna().all()]
    for name in empty:
        why = f"{name}: all {len(frame):,} rows are null; is its feed broken? If not, take it out of the features"
        yield Check(f"column {name}: not empty", Outcome.FAIL, 1.0, "some value", why)
    if not empty:
        yield Check("empty columns", Outcome.PASS, 0.0, "0", f"all {len(names)} inputs have values")


def warn_constant(names: Sequence[str], frame: "pd.DataFrame") -> Iterator[Check]:
    """A feature with one value everywhere tells nothing; that may be right, so it only warns."""
    for name in names:
        values = frame[name]
        if len(values) > 1 and values.notna().all() and _constant(values):
            why = f"{name}: every row is {_show(values.iloc[0])}, so nothing can be learnt from it"
            yield Check(f"column {name}: varies", Outcome.FAIL, 1.0, "two values or more", why)


def _constant(values: "pd.Series") -> bool:
    return bool((values == values.iloc[0]).all())


def _type_check(fault: Fault, rows: int, table: TableRules) -> Check:
    declared = table.columns.get(fault.column)
    limit = UNREADABLE if declared is None or declared.max_null_share is None else declared.max_null_share
    share = fault.count / max(rows, fault.count, 1)
    kind = "its type" if declared is None else declared.type
    broken = (
        "have no readable time and are left out"
        if fault.rule == "time"
        else f"cannot be read as {kind} and count as null"
    )
    shown = f"; such as {', '.join(fault.examples[:FIRST])}" if fault.examples else ""
    hint = f"; {fault.hint}" if fault.hint else ""
    why = f"{fault.column}: {fault.count:,} of {rows:,} rows {broken}{shown}{hint}"
    outcome = Outcome.FAIL if share > limit else Outcome.PASS
    return Check(f"column {fault.column}: {fault.rule}", outcome, share, f"share ≤ {limit:g}", why)


def _null_check(rule: ColumnRule, found: Breach) -> Check:
    share = found.count / found.rows
    outcome = Outcome.FAIL if share > rule.bound else Outcome.PASS
    first = f"; first: {', '.join(f'row {row}' for row, _ in found.first)}" if outcome is Outcome.FAIL else ""
    why = f"{rule.column}: {_rows(found)} null ({share:.1%}){first}"
    return Check(rule.name, outcome, share, f"≤ {rule.bound:g}", why)


def _bound(rule: ColumnRule) -> str:
    if rule.kind == "allowed":
        return f"one of {_listed(rule.bound)}"
    if rule.kind == "unique":
        return "each value once"
    return f"{'≥' if rule.kind == 'min' else '≤'} {rule.bound:g}"


def _explain(rule: ColumnRule, found: Breach) -> str:
    broken = {
        "min": "below min {:g}".format,
        "max": "above max {:g}".format,
        "allowed": lambda _: "not among the allowed",
        "unique": lambda _: "repeat an earlier value",
    }[rule.kind](rule.bound)
    return f"{rule.column}: {_rows(found)} {broken}{_first(found)}"


def _rows(found: Breach) -> str:
    return f"{found.count:,} of {found.rows:,} rows"


def _first(found: Breach) -> str:
    if not found.first:
        return ""
    return f"; first: {', '.join(f'row {row} ({_show(value)})' for row, value in found.first)}"


def _show(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else repr(value) if isinstance(value, str) else str(value)


def _listed(values: Sequence[str], most: int = 6) -> str:
    rest = len(values) - most
    return ", ".join(values[:most]) + (f" and {rest} more" if rest > 0 else "")
