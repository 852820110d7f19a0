"""The derived columns of a fitted pipeline as functions of rows, with the formulas of training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from evergreen.features import derived, moments
from evergreen.features.categories import Frequency
from evergreen.serving.by_column import ByColumn, values_at
from evergreen.serving.handles import Row
from evergreen.serving.lookup import lookup_of
from evergreen.serving.uncompiled import NotCompilable
from evergreen.store.fields import NO_MOMENT

Matrix = npt.NDArray[Any]
Compute = Callable[[Sequence[Row], Matrix], Any]
_SECOND, _HOUR, _DAY = 1_000_000, 3_600_000_000, 86_400_000_000
# The first of January 1970 was a Thursday.
_THURSDAY = 3


@dataclass(frozen=True)
class Slot:
    """Where the values of a column stand: at `position` of a row, or `place` of the working array, or both."""

    kind: str
    position: int | None = None
    place: int | None = None

    def values(self, rows: Sequence[Row], work: Matrix) -> list[Any]:
        """One value a row."""
        if self.position is not None:
            return values_at(rows, self.position)
        column: list[Any] = work[:, self.place].tolist()
        return column


@dataclass(frozen=True)
class Step:
    """One derived column: its place in the working array, and what fills it."""

    place: int
    compute: Compute


def compile_steps(derive: Any, slots: dict[str, Slot], place: int) -> tuple[Step, ...]:
    """The steps of a fitted DeriveColumns, from `place` on; what they make is added to `slots`.

    Raises NotCompilable for a transformer that is not ours.
    """
    steps = []
    for (name, _, of), fitted in zip(derive.steps, derive.fitted_, strict=True):
        compute = _compile(name, fitted, [slots[source] for source in of])
        steps.append(Step(place, compute))
        slots[name] = Slot("number", None, place)
        place += 1
    return tuple(steps)


def _compile(name: str, fitted: Any, of: list[Slot]) -> Compute:
    compilers: dict[type, Callable[[Any, list[Slot]], Compute]] = {
        derived.Combine: _combine,
        derived.Log: _log,
        derived.Bins: _bins,
        moments.DaysSince: _days_since,
        moments.CalendarPart: _calendar_part,
        Frequency: _frequency,
    }
    if type(fitted) not in compilers:
        raise NotCompilable(f"{name} is derived by {type(fitted).__name__}, which is not Evergreen's own")
    try:
        return compilers[type(fitted)](fitted, of)
    except LookupError as error:
        raise NotCompilable(f"{name} is derived from {error.args[0]}") from None


def _numbers(of: list[Slot]) -> list[int]:
    places = [slot.place for slot in of]
    if None in places:
        raise LookupError("what is no number")
    return [place for place in places if place is not None]


def _moment(slot: Slot) -> int:
    if slot.kind != "datetime" or slot.position is None:
        raise LookupError("what is no datetime")
    return slot.position


def _combine(fitted: Any, of: list[Slot]) -> Compute:
    places, operation = _numbers(of), fitted.operation
    return lambda _, work: derived.combine(operation, work[:, places])


def _log(fitted: Any, of: list[Slot]) -> Compute:  # noqa: ARG001
    (place,) = _numbers(of)
    return lambda _, work: derived.logarithm(work[:, place])


def _bins(fitted: Any, of: list[Slot]) -> Compute:
    (place,), (edges,) = _numbers(of), fitted.edges_
    return lambda _, work: derived.bin_of(work[:, place], edges)


def _days_since(fitted: Any, of: list[Slot]) -> Compute:  # noqa: ARG001
    since, until = map(_moment, of)

    def compute(rows: Sequence[Row], work: Matrix) -> Any:  # noqa: ARG001
        first, last = _moments(rows, since), _moments(rows, until)
        days = (last - first) / _SECOND / 86_400
        days[(first == NO_MOMENT) | (last == NO_MOMENT)] = np.nan
        return days

    return compute


def _calendar_part(fitted: Any, of: list[Slot]) -> Compute:
    (position,), part = map(_moment, of), _PARTS[fitted.part]

    def compute(rows: Sequence[Row], work: Matrix) -> Any:  # noqa: ARG001
        times = _moments(rows, position)
        return np.where(times == NO_MOMENT, np.nan, part(times))

    return compute


def _frequency(fitted: Any, of: list[Slot]) -> Compute:
    (slot,), (shares,) = of, fitted.shares_
    if slot.kind == "datetime":
        raise LookupError("a datetime")
    lookup = lookup_of(shares, 0.0, np.nan, numbers=slot.place is not None)
    return lambda rows, work: lookup.read(slot.values(rows, work))


def _moments(rows: Sequence[Row], position: int) -> npt.NDArray[np.int64]:
    if isinstance(rows, ByColumn):
        return rows.fields[position].values
    values = [NO_MOMENT if row[position] is None else row[position] for row in rows]
    return np.array(values, dtype=np.int64)


def _month(times: npt.NDArray[np.int64]) -> Any:
    return times.view("datetime64[us]").astype("datetime64[M]").astype(np.int64) % 12 + 1


_PARTS: dict[str, Callable[[npt.NDArray[np.int64]], Any]] = {
    "hour": lambda times: times // _HOUR % 24,
    "weekday": lambda times: (times // _DAY + _THURSDAY) % 7,
    "month": _month,
    "season": lambda times: _month(times) % 12 // 3,
}
