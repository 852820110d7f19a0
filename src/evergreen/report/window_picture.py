"""The picture of a model's windows: panels on one axis of time, as the numbers that an SVG is written from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from evergreen.report.axes import TimeAxis
from evergreen.report.marks import Mark, MarkKind
from evergreen.report.numbers import show, show_time
from evergreen.report.panels import GAP, SHOWN, Panel, draw_panels
from evergreen.store.window import Verdict, Window

WIDTH = 1000
_LEFT, _RIGHT = 52.0, WIDTH - 10.0
_STRIP = 26.0
_TOP = 34.0
_LABEL_WIDTH = 30.0
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
    panels = tuple(draw_panels(windows, axis, strip_top + _STRIP + GAP))
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
    known = [(kind, window.signal(kind)) for kind in SHOWN]
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
