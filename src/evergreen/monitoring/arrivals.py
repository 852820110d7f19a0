"""How much traffic came, and how long ago the last of it: held against earlier windows of the same model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from evergreen.checks import Outcome
from evergreen.monitoring.chance import LEVEL
from evergreen.store.window import Signal, SignalKind, Window

if TYPE_CHECKING:
    import numpy as np

ENOUGH_WINDOWS = 12
ENOUGH_TIME = timedelta(days=7)
"""So many windows over so long are compared with, at least: nights and weekends have been seen by then."""
AS_FAR_BACK = timedelta(days=35)
_TAIL = 0.05
_FACTOR = 2.0
_SHORTEST_SILENCE = timedelta(minutes=10)
# Fewer rows an hour are said with a digit after the point.
_ROUND = 10


@dataclass(frozen=True)
class Arrivals:
    """When the rows of a window were answered: `at` in naive UTC, in any order; late rows of earlier windows too."""

    since: datetime
    until: datetime
    at: "np.ndarray"

    @classmethod
    def of(cls, answers: Any, since: datetime, until: datetime) -> "Arrivals":
        """Of captured answers (an Arrow table with `at`)."""
        import numpy as np

        return cls(since, until, answers.column("at").to_numpy().astype("datetime64[us]", copy=False).astype(np.int64))

    @property
    def hours(self) -> float:
        """How long the window is."""
        return (self.until - self.since).total_seconds() / 3600

    @property
    def inside(self) -> "np.ndarray":
        """Microseconds since 1970 of the rows of the window itself, sorted."""
        import numpy as np

        micros = np.sort(np.asarray(self.at).astype("int64"))
        return micros[(micros >= _micros(self.since)) & (micros < _micros(self.until))]


def judge_volume(arrivals: Arrivals, earlier: Sequence[Window]) -> Signal:
    """Rows an hour, against the rates of earlier windows.

    The band reaches from half of the rate that 5 % of them stay below to twice the rate that 95 % do: nights and
    weekends are inside once they were seen, and a single strange window moves neither end. FAIL where chance does not
    explain what is outside. Before so much is known, no row at all is a stop where the mean of earlier windows makes it
    one.
    """
    rows, hours = len(arrivals.inside), arrivals.hours
    details = {"rows": rows, "hours": hours}
    known = _recent(earlier, arrivals)
    if not hours:
        return Signal(SignalKind.VOLUME, Outcome.UNKNOWN, "the window has no length", details=details)
    rate = rows / hours
    missing = _missing(known, arrivals)
    if missing and not rows and _stopped(known, hours):
        why = f"no row came in {in_words(arrivals.until - arrivals.since)}: the traffic has stopped"
        return Signal(SignalKind.VOLUME, Outcome.FAIL, why, 0.0, details=details)
    if missing:
        why = f"{rows:,} rows, {_rounded(rate)} an hour; {missing}"
        return Signal(SignalKind.VOLUME, Outcome.UNKNOWN, why, rate, details=details)
    lower, upper = _band([_rate(window) for window in known])
    outcome = Outcome.FAIL if _outside(rows, lower * hours, upper * hours) else Outcome.PASS
    why = f"{_rounded(rate)} rows an hour, usual are {_rounded(lower)} to {_rounded(upper)}"
    return Signal(SignalKind.VOLUME, outcome, why, rate, None, lower, upper, details)


def judge_freshness(arrivals: Arrivals, earlier: Sequence[Window]) -> Signal:
    """Seconds without a row at the end of the window, against the longest pauses between rows of earlier ones.

    Twice the longest pause is the bound, and never less than ten minutes. A pause that raised this signal while it
    lasted is none of those that are usual.
    """
    known, inside = _recent(earlier, arrivals), arrivals.inside
    before = _last_seen(known)
    last = int(inside[-1]) if len(inside) else before
    if last is None:
        return Signal(SignalKind.FRESHNESS, Outcome.UNKNOWN, "no row has come yet")
    silence = (_micros(arrivals.until) - last) / 1e6
    details = {"last_at": _moment(last).isoformat(), "longest_pause": _longest_pause(inside, before, known)}
    said = f"the last row came {in_words(timedelta(seconds=silence))} before the window's end"
    missing = _missing(known, arrivals)
    pauses = [pause for window in known if (pause := _pause_of(window)) is not None]
    if missing or not pauses:
        why = f"{said}; {missing or 'no earlier window says what is usual'}"
        return Signal(SignalKind.FRESHNESS, Outcome.UNKNOWN, why, silence, details=details)
    bound = max(_FACTOR * max(pauses), _SHORTEST_SILENCE.total_seconds())
    outcome = Outcome.PASS if silence <= bound else Outcome.FAIL
    why = f"{said}; up to {in_words(timedelta(seconds=bound))} is usual"
    return Signal(SignalKind.FRESHNESS, outcome, why, silence, bound, details=details)


def _recent(earlier: Sequence[Window], arrivals: Arrivals) -> list[Window]:
    begin = arrivals.since - AS_FAR_BACK
    return [window for window in earlier if begin <= window.since and window.until <= arrivals.since]


def _missing(known: Sequence[Window], arrivals: Arrivals) -> str:
    """What is not there yet to know what is usual; empty where it is."""
    if len(known) < ENOUGH_WINDOWS:
        return f"what is usual is known after {ENOUGH_WINDOWS} windows, this is number {len(known) + 1}"
    if arrivals.since - min(window.since for window in known) < ENOUGH_TIME:
        return f"what is usual is known after {ENOUGH_TIME.days} days, with their nights and weekend"
    return ""


def _band(rates: Sequence[float]) -> tuple[float, float]:
    import numpy as np

    low, high = np.quantile(rates, [_TAIL, 1 - _TAIL])
    return float(low / _FACTOR), float(high * _FACTOR)


def _stopped(known: Sequence[Window], hours: float) -> bool:
    """True where at the rate of earlier windows it hardly ever happens that no row comes for so long."""
    time = sum((window.until - window.since).total_seconds() / 3600 for window in known)
    expected = sum(window.rows for window in known) / time * hours if time else 0.0
    return math.exp(-expected) < LEVEL


def _outside(rows: int, least: float, most: float) -> bool:
    """True where a Poisson variable with a mean inside hardly ever comes to so many."""
    from scipy import stats

    few, many = stats.poisson.cdf(rows, least), stats.poisson.sf(rows - 1, most)
    return bool(min(few, many) < LEVEL)


def _rate(window: Window) -> float:
    """As its own signal said; a window that has none is judged by all its rows."""
    signal = window.signal(SignalKind.VOLUME)
    if signal is not None and signal.value is not None:
        return signal.value
    return window.rows / max((window.until - window.since).total_seconds() / 3600, 1e-9)


def _pause_of(window: Window) -> float | None:
    signal = window.signal(SignalKind.FRESHNESS)
    pause = None if signal is None else signal.details.get("longest_pause")
    return None if pause is None else float(pause)


def _last_seen(known: Sequence[Window]) -> int | None:
    signals = [signal for window in known if (signal := window.signal(SignalKind.FRESHNESS)) is not None]
    moments = [_micros(datetime.fromisoformat(s.details["last_at"])) for s in signals if s.details.get("last_at")]
    return max(moments, default=None)


def _longest_pause(inside: "np.ndarray", before: int | None, known: Sequence[Window]) -> float | None:
    """Seconds between two rows, the last one of earlier windows among them; None where there are no two."""
    import numpy as np

    newest = max(known, key=lambda window: window.until, default=None)
    told = newest is not None and newest.raised(SignalKind.FRESHNESS)
    rows = inside if before is None or told else np.concatenate([[before], inside])
    return float(np.diff(rows).max() / 1e6) if len(rows) > 1 else None


def _micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _moment(micros: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)


def in_words(time: timedelta) -> str:
    """A time in words, to the unit that matters.

    >>> in_words(timedelta(minutes=90)), in_words(timedelta(days=3)), in_words(timedelta(milliseconds=20))
    ('1.5 hours', '3 days', 'less than a second')
    """
    seconds = time.total_seconds()
    if seconds < 1:
        return "less than a second"
    units = ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))
    size, name = next((unit for unit in units if seconds >= 1.5 * unit[0]), units[-1])
    return f"{seconds / size:.3g} {name}"


def _rounded(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= _ROUND else f"{rate:.2g}"
