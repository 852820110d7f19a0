"""The picture of a model's windows: panels on one axis of time, as the numbers that an SVG is written from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from evergreen.report.axes import TimeAxis, ValueAxis
from evergreen.report.marks import Mark, MarkKind
from evergreen.report.numbers import show, show_time
from evergreen.report.series import Point, Series, read_series
from evergreen.store.window import SignalKind, Verdict, Window

WIDTH = 1000
_LEFT, _RIGHT = 52.0, WIDTH - 10.0
_STRIP = 26.0
_TOP = 34.0
_GAP = 40.0
_LABEL_WIDTH = 30.0
_HEIGHTS = {SignalKind.INPUT_DRIFT: 120.0, SignalKind.PREDICTION_DRIFT: 70.0}
_LOSS_HEIGHT = 130.0
_EMPTY_HEIGHT = 36.0
# So few points are each drawn.
_FEW = 60
# How tall a window stands in the strip: the more it asks for, the taller, so that it reads without colours too.
_TALLNESS = {
    Verdict.UNKNOWN: 0.15,
    Verdict.QUIET: 0.3,
    Verdict.ALERT: 0.6,
    Verdict.LABELS: 0.75,
    Verdict.RETRAIN: 1.0,
    Verdict.QUARANTINE: 1.0,
}


@dataclass(frozen=True)
class Box:
    """A rectangle, with the kind of window that it is and what is said of it."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    text: str = ""


@dataclass(frozen=True)
class Line:
    """A mark across all panels; `label` is empty where there is no room for it."""

    x: float
    kind: MarkKind
    label: str
    text: str


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


@dataclass(frozen=True)
class Picture:
    """Everything that is drawn, in units of a picture that is 1,000 wide."""

    height: float
    left: float
    right: float
    strip_top: float
    strip_bottom: float
    panels: tuple[Panel, ...]
    strip: tuple[Box, ...]
    shaded: tuple[Box, ...]
    hovers: tuple[Box, ...]
    lines: tuple[Line, ...]
    times: tuple[tuple[float, str, str], ...]
    summary: str


def draw(windows: Sequence[Window], marks: Sequence[Mark]) -> Picture:
    """The picture of windows in order of time."""
    newest = windows[-1]
    axis = TimeAxis(windows[0].since, max(newest.until, *(mark.at for mark in marks), newest.since), _LEFT, _RIGHT)
    strip_top = _TOP
    panels = tuple(_panels(windows, axis, strip_top + _STRIP + _GAP))
    bottom = panels[-1].bottom
    spans = [(axis.x(window.since), axis.x(window.until), window) for window in windows]
    return Picture(
        height=bottom + 34,
        left=_LEFT,
        right=_RIGHT,
        strip_top=strip_top,
        strip_bottom=strip_top + _STRIP,
        panels=panels,
        strip=tuple(_strip(spans, strip_top)),
        shaded=tuple(_shaded(spans, strip_top + _STRIP + 6, bottom)),
        hovers=tuple(Box(x0, strip_top, _wide(x0, x1), bottom - strip_top, "", _said(w)) for x0, x1, w in spans),
        lines=tuple(_lines(marks, axis)),
        times=tuple((x, name, _anchor(x)) for x, name in axis.ticks()),
        summary=_summary(windows, marks),
    )


def _panels(windows: Sequence[Window], axis: TimeAxis, top: float) -> Iterator[Panel]:
    series = [read_series(kind, windows) for kind in _SHOWN]
    losses = [each for each in series if each.kind in (SignalKind.ESTIMATE, SignalKind.REALISED)]
    # Both losses are read against each other, so they share their scale; a distance begins at zero.
    scale = _extent([limit for each in losses for limit in each.extent], zero=False)
    for each in series:
        height = _HEIGHTS.get(each.kind, _LOSS_HEIGHT) if each.runs else _EMPTY_HEIGHT
        low, high = scale if each in losses else _extent(each.extent, zero=True)
        yield _panel(each, axis, ValueAxis(low, high, top, top + height))
        top += height + _GAP


_SHOWN = (SignalKind.INPUT_DRIFT, SignalKind.PREDICTION_DRIFT, SignalKind.ESTIMATE, SignalKind.REALISED)


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


def _strip(spans: Sequence[tuple[float, float, Window]], top: float) -> Iterator[Box]:
    """Verdicts; equal ones that follow each other are one box."""
    for verdict, each in groupby(spans, key=lambda span: span[2].verdict):
        for x0, x1 in _joined([(x0, x1) for x0, x1, _ in each]):
            tall = round(_STRIP * _TALLNESS[verdict], 1)
            yield Box(x0, top + _STRIP - tall, _wide(x0, x1), tall, verdict.value)


def _shaded(spans: Sequence[tuple[float, float, Window]], top: float, bottom: float) -> Iterator[Box]:
    """Quarantined windows."""
    ends = [(x0, x1) for x0, x1, window in spans if window.verdict is Verdict.QUARANTINE]
    for x0, x1 in _joined(ends):
        yield Box(x0, top, _wide(x0, x1), bottom - top, "quarantine")


def _joined(ends: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Stretches, those that touch as one.

    >>> _joined([(0, 2), (2, 4), (8, 9)])
    [(0, 4), (8, 9)]
    """
    begins = [x0 for place, (x0, _) in enumerate(ends) if not place or x0 - ends[place - 1][1] >= 1]
    stops = [x1 for place, (_, x1) in enumerate(ends) if place + 1 == len(ends) or ends[place + 1][0] - x1 >= 1]
    return list(zip(begins, stops, strict=True))


def _wide(x0: float, x1: float) -> float:
    return round(max(x1 - x0, 0.8), 1)


def _anchor(x: float) -> str:
    """How a name at the axis stands, so that none is cut off at the picture's edge."""
    return "end" if x > _RIGHT - 30 else "middle"


def _lines(marks: Sequence[Mark], axis: TimeAxis) -> Iterator[Line]:
    """Promotions and ways back are named first where names would stand in each other's way."""
    taken: list[float] = []
    named: set[int] = set()
    for place, mark in sorted(enumerate(marks), key=lambda each: (each[1].kind is MarkKind.RETRAINING, -each[0])):
        x = axis.x(mark.at)
        width = max(_LABEL_WIDTH, 6.5 * len(mark.label) + 8)
        if all(abs(x - other) > width for other in taken):
            taken.append(x)
            named.add(place)
    for place, mark in enumerate(marks):
        label = mark.label if place in named else ""
        yield Line(axis.x(mark.at), mark.kind, label, f"{show_time(mark.at)}: {mark.why}")


def _said(window: Window) -> str:
    """What is shown where the mouse rests."""
    known = [(kind, window.signal(kind)) for kind in _SHOWN]
    values = [f"{kind.value} {show(signal.value)}" for kind, signal in known if signal and signal.value is not None]
    head = f"until {show_time(window.until)}: {window.verdict.value}, {window.rows:,} rows, version {window.version}"
    return "\n".join([head, *values, *window.reasons[:2]])


def _summary(windows: Sequence[Window], marks: Sequence[Mark]) -> str:
    """For those who cannot see the picture."""
    counts = {verdict: sum(window.verdict is verdict for window in windows) for verdict in Verdict}
    verdicts = ", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count)
    happened = "; ".join(f"{show_time(mark.at)} {mark.why}" for mark in marks[-5:])
    span = f"{show_time(windows[0].since)} to {show_time(windows[-1].until)}"
    return f"{len(windows)} windows from {span}: {verdicts}." + (f" {happened}." if happened else "")
