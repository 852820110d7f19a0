"""Have the inputs of a window moved, and the answers? Distances, weighed by importance, against what chance does."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from evergreen.checks import Outcome
from evergreen.drift.assess import INPUT, PREDICTION
from evergreen.drift.profile import Profile
from evergreen.monitoring.calibrate import DRAWN, Chance, Sample, calibrate, read_sample
from evergreen.monitoring.distance import Ruler, ruler
from evergreen.monitoring.drift_text import Moved, describe, explain
from evergreen.monitoring.weights import Weights, weigh
from evergreen.monitoring.window_counts import WindowCounts
from evergreen.spec.monitoring import DriftPolicy
from evergreen.store.window import Signal, SignalKind


@dataclass(frozen=True, eq=False)
class Yardstick:
    """What the windows of a champion are measured by.

    `reference` is the sample of training rows that it keeps. `roles` is what `drift.assess` is given: inputs and the
    prediction are measured, a target is not looked at. `importance` is that of raw columns, empty where it is not
    known.
    """

    profile: Profile
    reference: pd.DataFrame | None
    roles: Mapping[str, str]
    importance: Mapping[str, float]
    rules: DriftPolicy
    seed: int

    def begin(self) -> WindowCounts:
        """Counts of a window without rows, to which frames are added."""
        return WindowCounts.begin(self.profile, [*self.named(INPUT), *self.named(PREDICTION)])

    def named(self, role: str) -> list[str]:
        """Columns of a role."""
        return [name for name, given in self.roles.items() if given == role]


def measure_drift(  # noqa: PLR0913  a yardstick, spelled out
    current: pd.DataFrame,
    reference: pd.DataFrame | None,
    profile: Profile,
    roles: Mapping[str, str],
    importance: Mapping[str, float],
    rules: DriftPolicy,
    seed: int,
) -> tuple[Signal, Signal]:
    """Input drift and prediction drift of a window of rows; see `Yardstick`.

    A window that is read in pieces is counted piece by piece and given to `measure_counts`.
    """
    yardstick = Yardstick(profile, reference, roles, importance, rules, seed)
    return measure_counts(yardstick.begin().add(current), yardstick)


def measure_counts(counts: WindowCounts, yardstick: Yardstick) -> tuple[Signal, Signal]:
    """The same of a window that was counted: `yardstick.begin().add(frame).add(frame)`."""
    return (
        _measure(SignalKind.INPUT_DRIFT, yardstick.named(INPUT), counts, yardstick),
        _measure(SignalKind.PREDICTION_DRIFT, yardstick.named(PREDICTION), counts, yardstick),
    )


def _measure(kind: SignalKind, named: list[str], counts: WindowCounts, yardstick: Yardstick) -> Signal:
    names = [name for name in named if counts.has(name)]
    unknown = [name for name in named if name not in names]
    if not names or not counts.rows:
        return Signal(kind, Outcome.UNKNOWN, _nothing(counts.rows, unknown), details={"not_compared": unknown})
    weights, rules = weigh(names, yardstick.importance), yardstick.rules
    rulers = {name: _ruler(counts, name) for name in names}
    chance = calibrate(_sample(yardstick, tuple(names)), rulers, counts.rows)
    return _signal(kind, _judge(counts, rulers, chance, weights, rules), counts, weights, unknown)


def _ruler(counts: WindowCounts, name: str) -> Ruler:
    profile = counts.profile.columns[name]
    rows = min(counts.rows, profile.rows, DRAWN)
    return ruler(counts.reference[name], counts.cells(name), rows, profile.numeric)


# Whoever looks at many windows with one yardstick reads its reference once.
@lru_cache(maxsize=4)
def _sample(yardstick: Yardstick, names: tuple[str, ...]) -> Sample:
    # The answers of the sample are drawn beside rows that they do not belong to: they stand in no row.
    rows = None if set(names) & set(yardstick.named(PREDICTION)) else yardstick.reference
    return read_sample(yardstick.profile, names, rows, yardstick.rules.resamples, yardstick.seed)


@dataclass(frozen=True)
class _Judged:
    """The weighted sum with its bound, and the columns."""

    score: float
    bound: float
    columns: tuple[Moved, ...]


def _judge(
    counts: WindowCounts, rulers: Mapping[str, Ruler], chance: Chance, weights: Weights, rules: DriftPolicy
) -> _Judged:
    names = list(rulers)
    share = np.array([weights.by_column[name] for name in names])
    relative = np.array([weights.relative(name) for name in names])
    effects = np.array([_effect(counts, rulers[name], name) for name in names])
    # A column too light to pass the floor alone, however far it moves, is no chance of an alarm.
    alone = (share > 0) & (relative >= rules.min_effect)
    # One column has one statistic; of several, the sum and the largest are each given half of the alarms.
    level = rules.false_alarm_rate / (2 if (share > 0).sum() > 1 else 1)
    own = np.maximum(chance.single(alone, level), rules.min_effect)
    score, bound = float(effects @ share), max(chance.weighted(share, level), rules.min_effect)
    raised = alone & (effects > own) & (effects * relative >= rules.min_effect)
    columns = [
        Moved(name, float(effects[i]), float(share[i]), float(own[i]), bool(raised[i]), describe(counts, name))
        for i, name in enumerate(names)
    ]
    return _Judged(score, bound, tuple(sorted(columns, key=lambda c: (-c.weight * c.effect, -c.effect, c.column))))


def _effect(counts: WindowCounts, measure: Ruler, name: str) -> float:
    return 1.0 if name in counts.broken else measure.of_counts(counts.cells(name))


def _signal(kind: SignalKind, judged: _Judged, counts: WindowCounts, weights: Weights, unknown: list[str]) -> Signal:
    alone = [column for column in judged.columns if column.raised]
    together = judged.score > judged.bound
    value, bound = judged.score, judged.bound
    if alone and not together:
        value, bound = alone[0].effect, alone[0].threshold
    return Signal(
        kind,
        Outcome.FAIL if together or alone else Outcome.PASS,
        explain(judged.columns, judged.score, judged.bound, counts.rows, weights.note),
        value=value,
        bound=bound,
        details={
            "rows": counts.rows,
            "reference_rows": max(counts.profile.columns[column.column].rows for column in judged.columns),
            "score": judged.score,
            "score_bound": judged.bound,
            "columns": [column.to_dict() for column in judged.columns],
            "not_compared": unknown,
            "note": weights.note,
        },
    )


def _nothing(rows: int, unknown: list[str]) -> str:
    if not rows:
        return "no row to compare"
    return f"nothing to compare: {', '.join(unknown) or 'no column'}"
