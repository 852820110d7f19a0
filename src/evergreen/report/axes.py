"""Axes of a picture that is written as SVG: where a moment or a value stands, and which of them are named."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_STEPS = (
    *(timedelta(minutes=minutes) for minutes in (5, 15, 30)),
    *(timedelta(hours=hours) for hours in (1, 2, 3, 6, 12)),
    *(timedelta(days=days) for days in (1, 2, 3, 7, 14)),
)
_MONTHS = (1, 2, 3, 6, 12)
_MOST_TICKS = 9
_TICK_ROOM = 26.0
_DAY = timedelta(days=1)
_MONTH = timedelta(days=30)


@dataclass(frozen=True)
class TimeAxis:
    """From `begin` on the left to `end` on the right, aware; `left` and `right` in units of the picture."""

    begin: datetime
    end: datetime
    left: float
    right: float

    def x(self, moment: datetime) -> float:
        """Where a moment stands; one outside stands at its edge.

        >>> axis = TimeAxis(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC), 0, 100)
        >>> axis.x(datetime(2026, 1, 2, tzinfo=UTC))
        50.0
        """
        share = (moment - self.begin) / max(self.end - self.begin, timedelta(seconds=1))
        return round(self.left + min(max(share, 0.0), 1.0) * (self.right - self.left), 1)

    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Up to nine moments that are round, with what they are called.

        >>> axis = TimeAxis(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 5, 20, tzinfo=UTC), 0, 100)
        >>> [name for _, name in axis.ticks()]
        ['Jan 2026', 'Feb', 'Mar', 'Apr', 'May']
        """
        moments = list(self._months() if self._step() is None else self._rounds())
        return tuple((self.x(moment), self._name(moment, place == 0)) for place, moment in enumerate(moments))

    def _step(self) -> timedelta | None:
        """None where months are counted."""
        return next((step for step in _STEPS if (self.end - self.begin) / step <= _MOST_TICKS), None)

    def _rounds(self) -> Iterator[datetime]:
        step = self._step() or _DAY
        origin = datetime(2024, 1, 1, tzinfo=UTC)  # a Monday: steps of weeks begin with the week
        moment = origin + math.ceil((self.begin - origin) / step) * step
        while moment <= self.end:
            yield moment
            moment += step

    def _months(self) -> Iterator[datetime]:
        span = (self.end - self.begin) / _MONTH
        every = next((months for months in _MONTHS if span / months <= _MOST_TICKS), 12 * math.ceil(span / 108))
        first = self.begin.astimezone(UTC)
        month = first.year * 12 + first.month - 1
        while (moment := datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)) <= self.end:
            if moment >= self.begin and month % every == 0:
                yield moment
            month += 1

    def _name(self, moment: datetime, first: bool) -> str:
        step = self._step()
        if step is None:
            return f"{moment:%b %Y}" if first or moment.month == 1 else f"{moment:%b}"
        if step < _DAY:
            midnight = moment.hour == moment.minute == 0
            return f"{moment.day} {moment:%b}" if midnight else f"{moment:%H:%M}"
        return f"{moment.day} {moment:%b}" + (f" {moment.year}" if first else "")


@dataclass(frozen=True)
class ValueAxis:
    """From `low` at the `bottom` to `high` at the `top`, where y grows downwards."""

    low: float
    high: float
    top: float
    bottom: float

    def y(self, value: float) -> float:
        """Where a value stands; one outside stands at its edge."""
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return round(self.bottom - min(max(share, 0.0), 1.0) * (self.bottom - self.top), 1)

    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Round values, two to five of them, and fewer where there is no room.

        >>> [name for _, name in ValueAxis(0, 0.23, 0, 100).ticks()]
        ['0', '0.1', '0.2']
        """
        step = _round_step(self.high - self.low, most=min(4.0, max(1.0, (self.bottom - self.top) / _TICK_ROOM)))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return tuple((self.y(place * step), f"{place * step:.6g}") for place in range(first, last + 1))


def _round_step(span: float, most: float) -> float:
    """1, 2 or 5 times a power of ten, of which at most so many fit."""
    if span <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(span))
    return next((size * power for size in (0.2, 0.5, 1.0, 2.0, 5.0) if span / (size * power) <= most), power * 10)
