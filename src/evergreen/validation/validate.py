"""The T0 checks of a snapshot: any FAIL stops the run before anything is learnt from it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from evergreen.checks import Check, Outcome, worst
from evergreen.data.snapshot import Snapshot
from evergreen.spec.model import ModelSpec
from evergreen.validation.columns import check_filled, check_finite, check_rule, check_types, warn_constant
from evergreen.validation.point_mass import Reference, check_point_mass, newest_rows
from evergreen.validation.rules import compile_rules
from evergreen.validation.table import check_duplicates, check_freshness, check_labels, check_rows, check_unique_key

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Validation:
    """Every check of a snapshot. `warnings` are checks too, worth a look and never a reason to stop."""

    checks: tuple[Check, ...]
    warnings: tuple[Check, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """The worst of the checks; warnings do not count."""
        return worst(self.checks)

    @property
    def passed(self) -> bool:
        """True when nothing failed and nothing stayed unknown."""
        return self.outcome is Outcome.PASS

    @property
    def broken(self) -> tuple[Check, ...]:
        """The checks that stop the run."""
        return tuple(check for check in self.checks if not check.passed)


def validate(
    frame: "pd.DataFrame",
    snapshot: Snapshot,
    spec: ModelSpec,
    reference: Reference | None,
    since: datetime | None = None,
) -> Validation:
    """All T0 checks of a canonical frame, which holds every column of `spec.column_types`.

    `reference` is the champion's profile, None before the first champion. `since` is the moment after which rows
    are new to the champion; left out, the drift window says so.
    """
    rows = check_rows(len(frame), spec.table.rows)
    if frame.empty:
        return Validation((rows,))
    since = since or _drift_window(snapshot, spec)
    found = [rows, *_table_checks(frame, snapshot, spec), *_column_checks(frame, snapshot, spec, reference, since)]
    rules = compile_rules(spec.table)
    found += [check_rule(rule, frame[rule.column]) for rule in rules if rule.strict]
    warned = [check_rule(rule, frame[rule.column]) for rule in rules if not rule.strict]
    return Validation(tuple(found), tuple(w for w in (*warned, *_warnings(frame, spec)) if not w.passed))


def _table_checks(frame: "pd.DataFrame", snapshot: Snapshot, spec: ModelSpec) -> Iterator[Check]:
    yield from check_freshness(snapshot, spec.table.freshness)
    yield from check_labels(frame[spec.data.target], spec.task, spec.table.min_class_share)
    yield from check_unique_key(frame, spec.table.unique_key)
    if spec.table.max_duplicate_share is not None:
        yield check_duplicates(frame, spec.table.max_duplicate_share)


def _column_checks(
    frame: "pd.DataFrame", snapshot: Snapshot, spec: ModelSpec, reference: Reference | None, since: datetime | None
) -> Iterator[Check]:
    inputs = spec.raw_inputs
    times = None if spec.data.time_column is None else frame[spec.data.time_column]
    yield from check_types(snapshot, spec.table)
    yield from check_filled(inputs, frame)
    yield from check_finite(frame.columns, frame)
    yield from check_point_mass(frame, inputs, reference, spec.table.point_mass, newest_rows(times, since))


def _warnings(frame: "pd.DataFrame", spec: ModelSpec) -> Iterator[Check]:
    yield from warn_constant(spec.raw_inputs, frame)
    if spec.table.max_duplicate_share is None:
        yield check_duplicates(frame, None)


def _drift_window(snapshot: Snapshot, spec: ModelSpec) -> datetime | None:
    return None if spec.drift.window is None else snapshot.as_of - spec.drift.window
