"""The verdict on drift: every column at full size, against the stored profile of the champion's reference."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from evergreen.checks import Outcome
from evergreen.drift.compare import (
    Current,
    Part,
    compare_labels,
    compare_nulls,
    compare_values,
    default_rule,
    read_current,
    suits,
)
from evergreen.drift.profile import ColumnProfile, Profile
from evergreen.drift.result import ColumnDrift, DriftResult
from evergreen.drift.statistics import adjust
from evergreen.spec.rules import ColumnDrift as Rule
from evergreen.spec.rules import DriftRules

INPUT, TARGET, PREDICTION = "input", "target", "prediction"


@dataclass(frozen=True)
class _Case:
    """A column whose parts are measured and wait for the adjustment over all columns."""

    column: str
    role: str
    parts: tuple[Part, ...]


def assess(current: pd.DataFrame, profile: Profile, rules: DriftRules, roles: Mapping[str, str]) -> DriftResult:
    """Drift of the current rows. `roles` names the columns to look at: `input`, `target` or `prediction` each.

    A datetime has no row of its own: what a model makes of it (days since, a month) is compared as numbers, where
    the frame holds it. Never raises for what the data is; a column that cannot be judged says why.
    """
    names = [name for name in roles if name in profile.columns or not _is_datetime(current, name)]
    few = _too_few(len(current), profile.rows, rules.min_rows)
    if few:
        rows = [_settled(name, roles[name], _rule(name, profile, rules), Outcome.UNKNOWN, few) for name in names]
        return DriftResult(tuple(rows), None, len(current), profile.rows, note=few)
    found = [_open(name, roles[name], current, profile, rules) for name in names]
    # What the model reads and what it says are two families of tests: a target does not dilute the inputs.
    adjusted = _adjust(c for c in found if c.role == INPUT) | _adjust(c for c in found if c.role != INPUT)
    columns = tuple(_judge(adjusted[c.column], rules.min_effect) if isinstance(c, _Case) else c for c in found)
    return DriftResult(columns, _drifted_share(columns), len(current), profile.rows)


def _open(name: str, role: str, current: pd.DataFrame, profile: Profile, rules: DriftRules) -> _Case | ColumnDrift:
    rule = _rule(name, profile, rules)
    there = int((current.columns == name).sum())
    if name not in profile.columns:
        return _settled(name, role, rule, Outcome.UNKNOWN, "the champion's reference has nothing to compare it with")
    if there == 0 and role == TARGET:
        return _settled(name, role, rule, Outcome.UNKNOWN, "no labels yet")
    if there != 1:
        why = "the column is missing now" if there == 0 else f"{there} columns have this name now"
        return _settled(name, role, rule, Outcome.FAIL, why)
    column, reference = current[name], profile.columns[name]
    try:
        now = read_current(column, reference)
    except ValueError as error:
        return _settled(name, role, rule, Outcome.FAIL, f"was {reference.type}, is {column.dtype} now: {error}")
    unfit = _unfit(now, reference, role, rule, rules.min_rows)
    if unfit is not None:
        return _settled(name, role, rule, *unfit)
    return _Case(name, role, _measure(now, reference, role, rule, rules.false_alarm_rate))


def _unfit(now: Current, reference: ColumnProfile, role: str, rule: Rule, min_rows: int) -> tuple[Outcome, str] | None:
    """A verdict that needs no statistics."""
    if not suits(rule, reference):
        why = f"method {rule.method} needs numbers, this is {reference.type}; use chisquare, jensenshannon or psi"
        return Outcome.UNKNOWN, why
    if role == TARGET and min(now.known, reference.known) < min_rows:
        why = f"{now.known} labels now, {reference.known} in the reference; {min_rows} are needed on each side"
        return Outcome.UNKNOWN, why
    if now.known:
        return None
    if reference.known:
        return Outcome.FAIL, "every value is null now"
    return Outcome.PASS, "every value is null, as in the reference"


def _measure(now: Current, reference: ColumnProfile, role: str, rule: Rule, level: float) -> tuple[Part, ...]:
    parts = []
    if reference.known:
        parts.append(compare_values(now, reference, rule))
        if not reference.numeric:
            parts.append(compare_labels(now, reference, level))
    # A target is null where its label is not known yet: that says nothing about the world.
    if role != TARGET and (reference.nulls or now.nulls):
        parts.append(compare_nulls(now, reference, level))
    return tuple(parts)


def _adjust(found: Iterable[_Case | ColumnDrift]) -> dict[str, _Case]:
    """The cases by column, with the p-values of all their tests adjusted together; distances stay what they are."""
    cases = [c for c in found if isinstance(c, _Case)]
    adjusted = iter(adjust([part.score for case in cases for part in case.parts if part.is_test]))
    return {
        case.column: replace(
            case, parts=tuple(replace(p, score=next(adjusted)) if p.is_test else p for p in case.parts)
        )
        for case in cases
    }


def _judge(case: _Case, min_effect: float) -> ColumnDrift:
    """The part that moved stands for the column; where none did, its values do."""
    moved = [part for part in case.parts if _has_moved(part, min_effect)]
    shown = (moved or list(case.parts))[0]
    why = "; ".join(_say(part) for part in moved) if moved else _say(shown) + _but(shown)
    outcome = Outcome.FAIL if moved else Outcome.PASS
    return ColumnDrift(case.column, case.role, shown.method, shown.score, shown.threshold, shown.effect, outcome, why)


def _has_moved(part: Part, min_effect: float) -> bool:
    if not part.is_test:
        return part.score > part.threshold
    return part.score < part.threshold and part.effect >= min_effect


def _say(part: Part) -> str:
    if part.is_test:
        p_value = f"= {part.score:.2g}" if part.score >= 1e-16 else "< 1e-16"
        score = f"effect {part.effect:.2f}, adjusted p {p_value}"
    else:
        score = f"distance {part.score:.3g}"
    return f"{part.detail} ({score})" if part.detail else score


def _but(part: Part) -> str:
    return ": certain, but too small to matter" if part.is_test and part.score < part.threshold else ""


def _settled(name: str, role: str, rule: Rule, outcome: Outcome, why: str) -> ColumnDrift:
    effect = {Outcome.FAIL: 1.0, Outcome.PASS: 0.0}.get(outcome)
    return ColumnDrift(name, role, rule.method, None, rule.threshold, effect, outcome, why)


def _rule(name: str, profile: Profile, rules: DriftRules) -> Rule:
    kind = profile.columns[name].type if name in profile.columns else "number"
    return rules.columns.get(name) or default_rule(kind, rules.false_alarm_rate)


def _drifted_share(columns: Iterable[ColumnDrift]) -> float | None:
    judged = [c.drifted for c in columns if c.role == INPUT and c.outcome is not Outcome.UNKNOWN]
    return sum(judged) / len(judged) if judged else None


def _too_few(current: int, reference: int, min_rows: int) -> str:
    if min(current, reference) >= max(1, min_rows):
        return ""
    return f"{current} current rows against {reference} in the reference; {min_rows} are needed on each side"


def _is_datetime(frame: pd.DataFrame, name: str) -> bool:
    return (frame.columns == name).sum() == 1 and pd.api.types.is_datetime64_any_dtype(frame[name].dtype)
