"""Rows of a window against the rules that training holds its snapshots to, and how they came in."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from evergreen.checks import Check, Outcome
from evergreen.monitoring.arrivals import Arrivals, judge_freshness, judge_volume
from evergreen.monitoring.chance import exceeds
from evergreen.monitoring.unseen import find_unseen
from evergreen.spec.model import ModelSpec
from evergreen.store.asked import Asked
from evergreen.store.window import Signal, SignalKind, Window

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.drift.profile import Profile
    from evergreen.validation.rules import ColumnRule

NOT_OF_A_WINDOW = (
    "rows",
    "freshness",
    "labels",
    "min_class_share",
    "unique",
    "unique_key",
    "max_duplicate_share",
    "rules of the target",
)
"""Rules of a spec's schema that are about a whole table or its labels; a row may rightly be asked about twice."""
_SHOWN = 3


@dataclass(frozen=True)
class Broken:
    """A rule that rows of a window break. `share` is of `rows`; `examples` are values that broke it, as text."""

    column: str
    rule: str
    count: int
    rows: int
    share: float
    why: str
    examples: tuple[str, ...] = ()


def find_faults(
    frame: "pd.DataFrame",
    spec: ModelSpec,
    profile: "Profile | None",
    arrivals: Arrivals,
    earlier: Sequence[Window] = (),
    asked: Asked | None = None,
) -> tuple[Signal, Signal, Signal, Signal]:
    """FAULTS, VOLUME, FRESHNESS and UNSEEN of a canonical frame with the champion's inputs.

    `profile` is the champion's, `earlier` the windows before this one, in any order, `asked` what serving counted of
    the requests of the same time. Of inputs that `serving.capture.leave_out` names no value is looked at, nor shown;
    a rule of theirs that refused requests break is named.
    """
    names = watched(spec, frame)
    return (
        judge_rules(frame, spec, profile, asked),
        judge_volume(arrivals, earlier),
        judge_freshness(arrivals, earlier),
        find_unseen(frame, names, profile),
    )


def watched(spec: ModelSpec, frame: "pd.DataFrame") -> tuple[str, ...]:
    """The inputs that may be looked at and are there.

    An input that is left out of capture may stand in older rows; the spec says that it is not wanted.
    """
    left_out = set(spec.serving.capture.leave_out)
    return tuple(name for name in spec.raw_inputs if name not in left_out and name in frame.columns)


def judge_rules(
    frame: "pd.DataFrame", spec: ModelSpec, profile: "Profile | None", asked: Asked | None = None
) -> Signal:
    """The rules of the spec's schema that rows can break. `value` is how many of them are broken.

    A share may be above its bound by chance in a window of few rows: it counts where chance does not explain it. Every
    other rule is broken by one row, as in training. Rows that serving refused were never captured; what they broke
    counts where serving kept count, from a share that training would not have passed either.
    """
    names = watched(spec, frame)
    found = [*(_broken_rules(frame, spec, names, profile) if len(frame) else ()), *_refused(asked)]
    skipped = sorted(set(spec.serving.capture.leave_out) & set(spec.raw_inputs))
    details = {"broken": [asdict(each) for each in found], "not_looked_at": skipped, "warned": []}
    if len(frame):
        details["warned"] = [asdict(each) for each in _rules(frame, spec, names, strict=False)]
    if not len(frame) and not found:
        return Signal(SignalKind.FAULTS, Outcome.UNKNOWN, "no row came that could be looked at", details=details)
    if not found:
        why = f"{len(frame):,} rows keep every rule of the schema"
        return Signal(SignalKind.FAULTS, Outcome.PASS, why, 0.0, 0.0, details=details)
    why = "; ".join(each.why for each in found[:_SHOWN]) + (f"; and {len(found) - _SHOWN} more" * (len(found) > _SHOWN))
    return Signal(SignalKind.FAULTS, Outcome.FAIL, why, float(len(found)), 0.0, details=details)


def _broken_rules(
    frame: "pd.DataFrame", spec: ModelSpec, names: Sequence[str], profile: "Profile | None"
) -> Iterator[Broken]:
    from evergreen.validation.columns import check_filled, check_finite

    for name in names:
        checks = [*check_finite([name], frame), *check_filled([name], frame)]
        yield from (_of_check(check, frame[name]) for check in checks if not check.passed)
    yield from _taken_over(frame, spec, names, profile)
    yield from _rules(frame, spec, names, strict=True)


def _rules(frame: "pd.DataFrame", spec: ModelSpec, names: Sequence[str], strict: bool) -> Iterator[Broken]:
    from evergreen.validation.rules import compile_rules

    for rule in compile_rules(spec.table):
        if rule.column in names and rule.kind != "unique" and rule.strict is strict:
            broken = _of_rule(rule, frame[rule.column])
            if broken is not None:
                yield broken


def _of_rule(rule: "ColumnRule", values: "pd.Series") -> Broken | None:
    """None where it is kept. The row's place in the window would tell nobody anything; its values do."""
    from evergreen.validation.columns import judge_rule, measure
    from evergreen.validation.rules import Breach

    found = rule.breach(values)
    check = judge_rule(rule, Breach(found.count, found.rows), measure(rule, values, found))
    if check.passed or (rule.kind == "max_null_share" and not exceeds(found.count, found.rows, rule.bound)):
        return None
    said = check.why.partition("; first")[0]
    why = f"{said}, allowed are {rule.bound:.1%}" if rule.kind == "max_null_share" else said
    examples = () if rule.kind == "max_null_share" else tuple(dict.fromkeys(_show(value) for _, value in found.first))
    return Broken(rule.column, rule.kind, found.count, found.rows, found.count / found.rows, why, examples)


def _of_check(check: Check, values: "pd.Series") -> Broken:
    column, _, rule = check.name.removeprefix("column ").rpartition(": ")
    count = len(values) if rule == "not empty" else int(check.value or 0)
    return Broken(column, rule, count, len(values), count / len(values), check.why.partition("; first")[0])


def _taken_over(
    frame: "pd.DataFrame", spec: ModelSpec, names: Sequence[str], profile: "Profile | None"
) -> Iterator[Broken]:
    """A window has new rows only, so that training's rule for the newest rows is the one that fits."""
    from evergreen.validation.point_mass import MIN_NEW_ROWS, judge_newest

    if profile is None or len(frame) < MIN_NEW_ROWS:
        return
    for name in names:
        if name in profile.columns and frame[name].dtype.kind != "M":
            check = judge_newest(frame[name], profile.columns[name].top, spec.table.point_mass)
            if check is not None:
                share = check.value or 0.0
                yield Broken(name, "point mass", round(share * len(frame)), len(frame), share, check.why)


def _refused(asked: Asked | None) -> Iterator[Broken]:
    """Rules for which serving refused more requests than training allows of values that cannot be read."""
    from evergreen.validation.columns import UNREADABLE

    if asked is None:
        return
    for (column, rule), count in _by_rule(asked.broken).items():
        if exceeds(count, asked.requests, UNREADABLE):
            share = count / asked.requests
            why = f"{column}: {count:,} of {asked.requests:,} requests were refused, as they break {rule} ({share:.1%})"
            yield Broken(column, rule, count, asked.requests, share, why)


def _by_rule(broken: Mapping[str, int]) -> dict[tuple[str, str], int]:
    """By column and rule, the most frequent first."""
    names = {tuple(name.rsplit(": ", 1)): count for name, count in sorted(broken.items(), key=lambda each: -each[1])}
    return {(name[0], name[-1]): count for name, count in names.items()}


def _show(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
