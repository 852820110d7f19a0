"""One signal over windows: its values, bounds and bands, in runs that may be joined by a line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from evergreen.report.numbers import show
from evergreen.store.window import Signal, SignalKind, Verdict, Window

# An interval that is wider than this, in values or bounds, is cut: it would flatten everything else.
_WIDEST = 1.6


@dataclass(frozen=True)
class Point:
    """A signal in one window."""

    since: datetime
    until: datetime
    value: float
    bound: float | None
    lower: float | None
    upper: float | None
    holdout: float | None
    raised: bool
    quarantined: bool = False

    @property
    def middle(self) -> datetime:
        """Where it is drawn: a signal is about the whole window."""
        return self.since + (self.until - self.since) / 2


@dataclass(frozen=True)
class Series:
    """A signal over time. A run ends where a window has no value, or another version is champion."""

    kind: SignalKind
    runs: tuple[tuple[Point, ...], ...]
    title: str
    note: str = ""

    @property
    def extent(self) -> tuple[float, ...]:
        """Every number that the picture has to have room for; those of a broken feed say nothing, and may be cut."""
        every = [point for run in self.runs for point in run]
        points = [point for point in every if not point.quarantined] or every
        firm = [v for p in points for v in (p.value, p.bound, p.holdout) if v is not None]
        most = max(map(abs, firm), default=0.0) * _WIDEST
        ends = [v for p in points for v in (p.lower, p.upper) if v is not None]
        return (*firm, *(max(min(end, most), -most) for end in ends))

    @property
    def newest(self) -> str:
        """The newest value, beside its bound."""
        last = self.runs[-1][-1]
        return show(last.value) + ("" if last.bound is None else f", bound {show(last.bound)}")

    @property
    def summary(self) -> str:
        """The newest point, in words."""
        last = self.runs[-1][-1]
        band = "" if last.lower is None or last.upper is None else f", {show(last.lower)} to {show(last.upper)}"
        return f"{self.title}: newest {self.newest}{band}{', raised' if last.raised else ''}"


def read_series(kind: SignalKind, windows: Sequence[Window]) -> Series:
    """A signal of windows in order of time."""
    runs: list[list[Point]] = []
    version: int | None = None
    for window in windows:
        point = _point(window, window.signal(kind))
        if point is None:
            version = None
            continue
        if version != window.version:
            runs.append([])
        runs[-1].append(point)
        version = window.version
    return Series(kind, tuple(map(tuple, runs)), _title(kind, windows), _note(kind, windows))


def _point(window: Window, signal: Signal | None) -> Point | None:
    if signal is None:
        return None
    # Drift of a single column raises the signal by its own distance; the line is the weighted one always.
    value, bound = signal.details.get("score", signal.value), signal.details.get("score_bound", signal.bound)
    if value is None:
        return None
    holdout = _number(signal.details.get("holdout"))
    ends = signal.lower, signal.upper
    broken = window.verdict is Verdict.QUARANTINE
    return Point(window.since, window.until, float(value), bound, *ends, holdout, signal.raised, broken)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


_TITLES = {
    SignalKind.INPUT_DRIFT: "Drift of the inputs, weighted by importance",
    SignalKind.PREDICTION_DRIFT: "Drift of the answers",
    SignalKind.ESTIMATE: "Estimated loss, before labels are in",
    SignalKind.REALISED: "Realised loss, with labels",
}


def _title(kind: SignalKind, windows: Sequence[Window]) -> str:
    metrics = (found.details.get("metric") for found in _found(kind, windows))
    metric = next((str(name) for name in metrics if name), "")
    return _TITLES[kind] + (f" ({metric})" if metric else "")


def _note(kind: SignalKind, windows: Sequence[Window]) -> str:
    newest = next(_found(kind, windows), None)
    return "not looked at yet" if newest is None else newest.why


def _found(kind: SignalKind, windows: Sequence[Window]) -> Iterator[Signal]:
    """The newest first."""
    return (found for window in reversed(windows) if (found := window.signal(kind)) is not None)
