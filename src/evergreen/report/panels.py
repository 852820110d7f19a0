"""Panels of the picture: a signal over time each, as paths of an SVG."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from evergreen.report.axes import TimeAxis, ValueAxis
from evergreen.report.series import Point, Series, read_series
from evergreen.store.window import SignalKind, Window

SHOWN = (SignalKind.INPUT_DRIFT, SignalKind.PREDICTION_DRIFT, SignalKind.ESTIMATE, SignalKind.REALISED)
GAP = 40.0
_HEIGHTS = {SignalKind.INPUT_DRIFT: 120.0, SignalKind.PREDICTION_DRIFT: 70.0}
_LOSS_HEIGHT = 130.0
_EMPTY_HEIGHT = 36.0
# So few points are each drawn.
_FEW = 60


@dataclass(frozen=True)
class Panel:
    """One signal over time. Paths are SVG's: `alarm` where it was raised, `raised` where each such time begins. `note`
    says why there is nothing, `summary` what the newest point is.
    """

    kind: str
    title: str
    top: float
    bottom: float
    ticks: tuple[tuple[float, str], ...] = ()
    area: str = ""
    bound: str = ""
    holdout: str = ""
    line: str = ""
    dots: tuple[tuple[float, float], ...] = ()
    alarm: str = ""
    raised: tuple[tuple[float, float], ...] = ()
    last: tuple[float, float, str] | None = None
    note: str = ""
    summary: str = ""


def draw_panels(windows: Sequence[Window], axis: TimeAxis, top: float) -> Iterator[Panel]:
    """A panel for each of SHOWN, one below the other from `top` on; windows are in order of time."""
    series = [read_series(kind, windows) for kind in SHOWN]
    losses = [each for each in series if each.kind in (SignalKind.ESTIMATE, SignalKind.REALISED)]
    # Both losses are read against each other, so they share their scale; a distance begins at zero.
    scale = _extent([limit for each in losses for limit in each.extent], zero=False)
    for each in series:
        height = _HEIGHTS.get(each.kind, _LOSS_HEIGHT) if each.runs else _EMPTY_HEIGHT
        low, high = scale if each in losses else _extent(each.extent, zero=True)
        yield _panel(each, axis, ValueAxis(low, high, top, top + height))
        top += height + GAP


def _panel(series: Series, axis: TimeAxis, values: ValueAxis) -> Panel:
    title = series.title
    known = [point for run in series.runs for point in run]
    if not known:
        return Panel(series.kind.value, title, values.top, values.bottom, note=series.note)
    places = {id(point): (axis.x(point.middle), values.y(point.value)) for point in known}
    few = len(known) <= _FEW
    last, alarms = known[-1], [each for run in series.runs for each in _alarms(run)]
    return Panel(
        series.kind.value,
        title,
        values.top,
        values.bottom,
        ticks=values.ticks(),
        area=" ".join(_area(run, axis, values) for run in series.runs),
        bound=" ".join(_steps(run, axis, values, "bound") for run in series.runs),
        holdout=" ".join(_steps(run, axis, values, "holdout") for run in series.runs),
        line=" ".join(_path([places[id(point)] for point in run]) for run in series.runs if len(run) > 1),
        dots=tuple(places[id(point)] for run in series.runs for point in run if few or len(run) == 1),
        alarm=" ".join(_path([places[id(point)] for point in each]) for each in alarms if len(each) > 1),
        raised=tuple(places[id(each[0])] for each in alarms),
        last=(*places[id(last)], series.newest),
        summary=series.summary,
    )


def _alarms(run: Sequence[Point]) -> Iterator[list[Point]]:
    """Raised points that follow each other."""
    yield from (list(each) for raised, each in groupby(run, key=lambda point: point.raised) if raised)


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g},{y:g}" for x, y in points) if points else ""


def _area(run: Sequence[Point], axis: TimeAxis, values: ValueAxis) -> str:
    """Between lower and upper: by steps, as each window has a band of its own."""
    banded = [point for point in run if point.lower is not None and point.upper is not None]
    if not banded:
        return ""
    upper = [(axis.x(at), values.y(point.upper or 0.0)) for point in banded for at in (point.since, point.until)]
    lower = [(axis.x(at), values.y(point.lower or 0.0)) for point in banded for at in (point.since, point.until)]
    return _path(upper + lower[::-1]) + "Z"


def _steps(run: Sequence[Point], axis: TimeAxis, values: ValueAxis, what: str) -> str:
    """A level that each window has of its own; windows without one are passed over, and one level is one piece."""
    places: list[tuple[float, float]] = []
    for point in run:
        level = getattr(point, what)
        if level is not None:
            y = values.y(level)
            if len(places) > 1 and places[-1][1] == y:
                places.pop()
            else:
                places.append((axis.x(point.since), y))
            places.append((axis.x(point.until), y))
    return _path(places)


def _extent(limits: Sequence[float], zero: bool) -> tuple[float, float]:
    """A little more than what is shown, from zero or from near the least."""
    if not limits:
        return 0.0, 1.0
    low, high = (0.0, max(limits)) if zero else (min(limits), max(limits))
    room = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    return (0.0 if zero or low - room < 0 <= low else low - room), high + room
