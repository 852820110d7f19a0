"""A window as Markdown: what Prefect shows of it."""

from evergreen.checks import Outcome
from evergreen.report.numbers import show, show_time
from evergreen.store.window import Signal, Window

_SAID = {Outcome.PASS: "ok", Outcome.FAIL: "**raised**", Outcome.UNKNOWN: "unknown"}


def to_markdown(window: Window) -> str:
    """The verdict, its reasons, and every signal as a row of a table; what was raised first."""
    late = f", {window.late:,} of them late" if window.late else ""
    head = (
        f"**{window.verdict.value.upper()}** · {window.model} · version {window.version} · {window.rows:,} rows{late}, "
        f"{show_time(window.since).removesuffix(' UTC')} – {show_time(window.until)}"
    )
    reasons = "\n".join(f"- {_text(reason)}" for reason in window.reasons)
    event = f"Event: `{window.event}`" if window.event else ""
    ordered = sorted(window.signals, key=lambda signal: not signal.raised)
    table = "\n".join([*_HEAD, *(_row(signal) for signal in ordered)])
    return "\n\n".join(part for part in (head, reasons, event, table) if part) + "\n"


_HEAD = ("| signal | | value | bound | band | why |", "| --- | --- | ---: | ---: | ---: | --- |")


def _row(signal: Signal) -> str:
    known = signal.lower is not None and signal.upper is not None
    band = f"{show(signal.lower)} – {show(signal.upper)}" if known else ""
    cells = (signal.kind.value, _SAID[signal.outcome], show(signal.value), show(signal.bound), band, _text(signal.why))
    return f"| {' | '.join(cells)} |"


def _text(said: str) -> str:
    """Names from the data as they are: no column, no line and no markup of their own."""
    plain = " ".join(said.split())
    for sign in "\\|<*_`[":
        plain = plain.replace(sign, f"\\{sign}")
    return plain
