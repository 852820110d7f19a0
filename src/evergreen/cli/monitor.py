"""`evergreen monitor`: what was seen in a model's live traffic, and a look at what came since."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from evergreen.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console

    from evergreen.stages.monitor import NotDue
    from evergreen.store.window import Window

STYLES = {"retrain": "red", "quarantine": "red", "labels": "yellow", "alert": "yellow", "quiet": "green"}
_REPORT = 1000  # windows on the page at most: six weeks of hours


def add_commands(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command()(monitor)


def monitor(
    model: Annotated[str, typer.Argument(help="A spec in configs/, without .yaml.", show_default=False)],
    now: Annotated[bool, typer.Option("--now", help="Look at what came since the last window first.")] = False,
    early: Annotated[
        bool, typer.Option("--early", help="The same, also where too few rows came for a window.")
    ] = False,
    rows: Annotated[int, typer.Option(min=1, help="Windows to print, the newest.")] = 5,
    report: Annotated[bool, typer.Option("--report", help="Write the page with everything over time.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Windows as JSON, for other programs.")] = False,
) -> None:
    """Print the last windows of live traffic: verdict, reasons, and what was seen."""
    from evergreen.cli.console import open_console
    from evergreen.cli.launch import environment

    settings, console = Settings.from_environment(), open_console()
    if now or early:
        with environment(settings):
            waits = _look(model, settings, console, early=early, quiet=as_json)
        if waits is not None and not as_json:
            console.print(f"no window yet: {waits.why}", markup=False, highlight=False)
    windows = _windows(model, settings, rows)
    if as_json:
        typer.echo(json.dumps([to_dict(window) for window in windows], indent=2))
    else:
        _show(console, model, windows)
    if report:
        _write_report(model, settings, console)


def to_dict(window: "Window") -> dict[str, Any]:
    """A window as JSON has it."""
    from dataclasses import asdict

    moments = {name: getattr(window, name) for name in ("since", "until", "looked_at", "settled", "late_since")}
    times = {name: moment and moment.isoformat() for name, moment in moments.items()}
    signals = [asdict(signal) for signal in window.signals]
    return {**asdict(window), **times, "signals": signals}


def _look(model: str, settings: Settings, console: "Console", *, early: bool, quiet: bool) -> "NotDue | None":
    """Look at the window that is due, without an orchestrator, and tell of it what there is to tell."""
    from contextlib import nullcontext

    from evergreen.cli.progress import progress
    from evergreen.stages.look import look_at_window
    from evergreen.stages.monitor import NotDue, conclude_window, judge_window, take_window

    with nullcontext() if quiet else progress(console):
        due = take_window(model, settings, datetime.now(UTC), early=early)
        if isinstance(due, NotDue):
            return due
        seen = look_at_window(due, settings)
        window = conclude_window(due, seen, judge_window(due, seen, settings), settings)
    if window.event:
        _deliver(settings, console, quiet=quiet)
    return None


def _deliver(settings: Settings, console: "Console", *, quiet: bool) -> None:
    """Tell of the event at once where that can be; else `evergreen tend` does."""
    import os

    from evergreen.cli.server import known_server
    from evergreen.operations.relay import relay
    from evergreen.operations.specs import read_specs

    api = known_server(settings, os.environ)
    reached = api if api is not None and api.health() else None
    lines = relay(read_specs(settings)[0], settings, reached, os.environ, datetime.now(UTC))
    for line in () if quiet else lines:
        console.print(line, markup=False, highlight=False)


def _windows(model: str, settings: Settings, rows: int) -> "tuple[Window, ...]":
    from evergreen.stages.open import find_model
    from evergreen.store.ledger import Ledger
    from evergreen.store.windows import Windows

    name, file = find_model(model, settings), settings.store_file
    if file is not None and not file.exists():
        return ()
    Ledger(settings.store_url).prepare()
    return Windows(settings.store_url).last(name, rows)


def _show(console: "Console", model: str, windows: "tuple[Window, ...]") -> None:
    if not windows:
        told = f"{model}: no window yet; evergreen monitor {model} --now looks at what came"
        console.print(told, markup=False, highlight=False)
        return
    table = Table("window", "version", "rows", "verdict", "why", box=None, pad_edge=False)
    for window in windows:
        style = STYLES.get(window.verdict.value, "dim")
        span = f"{window.since:%Y-%m-%d %H:%M} – {window.until:%m-%d %H:%M}"
        size = f"{window.rows:,}" + (f" ({window.late:,} late)" if window.late else "")
        why = escape("\n".join(window.reasons))
        table.add_row(span, str(window.version), size, f"[{style}]{window.verdict.value.upper()}[/]", why)
    console.print(table)
    console.print(_signals(windows[-1]), markup=False, highlight=False)


def _signals(window: "Window") -> str:
    """The signals of a window in a line, those that were raised first."""
    raised = [signal.kind.value for signal in window.signals if signal.raised]
    unknown = [signal.kind.value for signal in window.signals if signal.outcome == "UNKNOWN"]
    fine = [s.kind.value for s in window.signals if s.kind.value not in (*raised, *unknown)]
    parts = {"raised": raised, "unknown": unknown, "in bounds": fine}
    said = "; ".join(f"{name}: {', '.join(kinds)}" for name, kinds in parts.items() if kinds)
    return f"newest window: {said}"


def _write_report(model: str, settings: Settings, console: "Console") -> None:
    from evergreen.cli.console import shorten
    from evergreen.errors import UserError
    from evergreen.monitoring.concept import explain
    from evergreen.report.marks import History
    from evergreen.report.windows import render_windows
    from evergreen.stages.open import find_model
    from evergreen.store.ledger import Ledger

    windows = _windows(model, settings, _REPORT)
    if not windows:
        raise UserError(f"{model}: there is no window to show; evergreen monitor {model} --now looks at what came")
    ledger, name = Ledger(settings.store_url), find_model(model, settings)
    history = History(ledger.entries(name, _REPORT), ledger.history(name))
    path = settings.reports / name / "monitoring.html"
    render_windows(windows, history, path, explain(windows[-1], windows[:-1]))
    console.print(shorten(str(path)), markup=False, soft_wrap=True)
