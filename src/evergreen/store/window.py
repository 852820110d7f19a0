"""A window of live traffic as monitoring saw it: signals, and the verdict that follows from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from evergreen.checks import Outcome

LATE = timedelta(days=1)
"""Rows that are written so long after they were answered, or longer, are in no window."""


class SignalKind(StrEnum):
    """What is looked at in a window."""

    FAULTS = "faults"  # rows against the spec's schema
    VOLUME = "volume"  # how many rows came
    FRESHNESS = "freshness"  # how long ago the last one did
    UNSEEN = "unseen"  # nulls, and labels that training never saw
    INPUT_DRIFT = "input drift"
    PREDICTION_DRIFT = "prediction drift"
    ESTIMATE = "estimated loss"  # without labels
    REALISED = "realised loss"  # with the labels that are in
    ERRORS = "errors"
    LATENCY = "latency"
    AGE = "age"  # of the champion's newest training row
    SKEW = "skew"  # captured rows, answered again


class Verdict(StrEnum):
    """What a window asks for, from the least to the most."""

    UNKNOWN = "unknown"  # too few rows to say anything
    QUIET = "quiet"
    ALERT = "alert"  # people are told
    LABELS = "labels"  # people are asked for labels
    RETRAIN = "retrain"
    QUARANTINE = "quarantine"  # the feed is broken: people are told, and nothing learns from these rows


@dataclass(frozen=True)
class Signal:
    """One thing that was looked at. FAIL raises it, UNKNOWN could not be told.

    `value` is held against `bound`; `lower` and `upper` are the ends of its band where it has one. `details` holds JSON
    values: of drift the columns with their scores, of faults the rules that broke.
    """

    kind: SignalKind
    outcome: Outcome
    why: str
    value: float | None = None
    bound: float | None = None
    lower: float | None = None
    upper: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def raised(self) -> bool:
        """True where it says that something is wrong."""
        return self.outcome is Outcome.FAIL


@dataclass(frozen=True)
class Window:
    """The predictions of a model from `since` on and before `until`, looked at `looked_at`; all aware, in UTC.

    `late` counts rows of earlier windows that were written after those were looked at; they count in this one.
    `version` is the champion then. `event` names what was raised, empty where nothing was.

    Its rows were written before `settled`; its late ones from `late_since` on, at most LATE before `since`. None where
    that is not known, or there could be no late ones.
    """

    model: str
    version: int
    since: datetime
    until: datetime
    looked_at: datetime
    rows: int
    late: int
    signals: tuple[Signal, ...]
    verdict: Verdict
    reasons: tuple[str, ...]
    event: str = ""
    settled: datetime | None = None
    late_since: datetime | None = None

    def signal(self, kind: SignalKind) -> Signal | None:
        """The signal of a kind, None where it was not looked at."""
        return next((signal for signal in self.signals if signal.kind is kind), None)

    def raised(self, kind: SignalKind) -> bool:
        """True where the signal of a kind was raised."""
        found = self.signal(kind)
        return found is not None and found.raised
