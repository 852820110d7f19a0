"""Windows of a model's live traffic as one HTML page: everything is inside the file, and it needs nothing else."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evergreen.report import numbers
from evergreen.report.marks import History, Mark, find_marks
from evergreen.report.template import Filters, open_template
from evergreen.report.window_picture import Picture, draw
from evergreen.store.window import Signal, SignalKind, Verdict, Window

SHOWN = 60
"""Windows in the table that is open; the others are folded."""


@dataclass(frozen=True)
class Moved:
    """A column of the newest window that moved; `share` is its part of all importance, `effect` between 0 and 1."""

    column: str
    role: str
    effect: float
    share: float
    threshold: float | None
    raised: bool
    what: str


def render_windows(windows: Sequence[Window], history: History, path: Path, words: str = "") -> Path:
    """Write the page of a model's windows, in any order; returns the path.

    `words` say in plain language what the newest window means (`monitoring.concept.explain`): paragraphs are apart by
    an empty line. Raises ValueError where there is no window.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(windows, history, words), encoding="utf-8")
    return path


def page(windows: Sequence[Window], history: History, words: str = "") -> str:
    """The page. Every text is escaped."""
    if not windows:
        raise ValueError("there is no window to show")
    filters: Filters = {"show": _show, "show_share": numbers.show_share, "show_time": numbers.show_time}
    return open_template("windows.html.j2", filters).render(_content(windows, history, words))


def moved_columns(window: Window) -> tuple[Moved, ...]:
    """What moved in a window, the most important first: inputs, then the answers."""
    found = (_moved(window.signal(kind), kind) for kind in (SignalKind.INPUT_DRIFT, SignalKind.PREDICTION_DRIFT))
    return tuple(each for part in found for each in part)


def headline(window: Window) -> str:
    """What the newest window asks for, in a sentence."""
    return _HEADLINES[window.verdict]


def unit_of(signal: Signal) -> str:
    """What its value is in, with a blank before it; empty for shares, distances, losses, and where there is none.

    >>> from evergreen.checks import Outcome
    >>> unit_of(Signal(SignalKind.AGE, Outcome.PASS, "twelve days", 12.0))
    ' days'
    """
    return "" if signal.value is None else _UNITS.get(signal.kind, "")


_UNITS = {
    SignalKind.VOLUME: " / h",
    SignalKind.FRESHNESS: " s",
    SignalKind.LATENCY: " ms",
    SignalKind.AGE: " days",
}
_HEADLINES = {
    Verdict.UNKNOWN: "Too little came to say anything",
    Verdict.QUIET: "Nothing has to be done",
    Verdict.ALERT: "Somebody should have a look",
    Verdict.LABELS: "Labels are wanted",
    Verdict.RETRAIN: "A retraining is asked for",
    Verdict.QUARANTINE: "The feed is broken: nothing is learnt from these rows",
}


def _content(windows: Sequence[Window], history: History, words: str) -> dict[str, Any]:
    ordered = sorted(windows, key=lambda window: window.since)
    newest = ordered[-1]
    marks = find_marks(history, ordered[0].since, max(newest.until, newest.looked_at))
    picture: Picture = draw(ordered, marks)
    return {
        "newest": newest,
        "headline": headline(newest),
        "words": [paragraph.strip() for paragraph in words.split("\n\n") if paragraph.strip()],
        "columns": moved_columns(newest),
        "not_looked_at": _not_looked_at(newest),
        "picture": picture,
        "marks": tuple(reversed(marks)),
        "windows": ordered[::-1],
        "shown": SHOWN,
        "verdicts": _verdict_counts(ordered),
        "value_of": _value_of,
        "raised_in": _raised_in,
        "unit_of": unit_of,
    }


def _moved(signal: Signal | None, kind: SignalKind) -> Iterator[Moved]:
    if signal is None:
        return
    role = "input" if kind is SignalKind.INPUT_DRIFT else "prediction"
    for each in signal.details.get("columns", ()):
        if each.get("moved", each.get("raised")):
            yield Moved(
                column=str(each["column"]),
                role=role,
                effect=float(each.get("effect") or 0.0),
                share=float(each.get("weight") or 0.0),
                threshold=each.get("threshold"),
                raised=bool(each.get("raised")),
                what=str(each.get("what", "")),
            )


def _not_looked_at(window: Window) -> tuple[str, ...]:
    faults = window.signal(SignalKind.FAULTS)
    return tuple(faults.details.get("not_looked_at", ())) if faults is not None else ()


def _verdict_counts(windows: Sequence[Window]) -> tuple[tuple[Verdict, int], ...]:
    counts = ((verdict, sum(window.verdict is verdict for window in windows)) for verdict in Verdict)
    return tuple((verdict, count) for verdict, count in counts if count)


def _value_of(window: Window, kind: str) -> float | None:
    signal = window.signal(SignalKind(kind))
    return None if signal is None else signal.value


def _show(value: float | None) -> str:
    """As other reports do, but for a count of none."""
    return "0" if value == 0 else numbers.show(value)


def _raised_in(window: Window) -> str:
    return ", ".join(signal.kind.value for signal in window.signals if signal.raised)


__all__ = ["History", "Mark", "headline", "moved_columns", "page", "render_windows"]
