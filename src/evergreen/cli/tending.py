"""Tending from the terminal: one pass, or passes until somebody says stop; and an alert that is passed on at once."""

import os
import signal
import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import typer

from evergreen.cli.server import known_server
from evergreen.drift.alert import DriftAlert
from evergreen.operations.alert import raise_alert, refusal
from evergreen.operations.relay import Pace, relay
from evergreen.operations.specs import read_specs
from evergreen.operations.tend import tend
from evergreen.settings import Settings
from evergreen.spec import find_spec, load_spec


def report_drift(spec: str, alert: DriftAlert, settings: Settings, now: datetime) -> None:
    """Keep an alert, try to deliver it at once, and say what became of it. Raises SpecError for an unknown spec."""
    model = load_spec(find_spec(settings.configs, spec)).model
    why = refusal(model, alert, settings, now)
    if why is not None or not raise_alert(model, alert, settings, now):
        typer.echo(f"{model}: nothing is started: {why or 'this window was reported just now'}")
        return
    typer.echo(f"{model}: drift in {alert.share:.0%} of the inputs is noted")
    api = known_server(settings, os.environ)
    if api is None or not api.health():
        where = "no Prefect server is known" if api is None else "Prefect's server does not answer"
        typer.echo(f"{where}; evergreen tend, a part of evergreen up, delivers it once there is one")
        return
    specs, _ = read_specs(settings)
    _print(relay(specs, settings, api, os.environ, now, Pace(_now)))


def tend_once(settings: Settings) -> None:
    """One pass."""
    lines = tend(settings, known_server(settings, os.environ), _now(), pace=Pace(_now))
    _print(lines or ["nothing to do"])


def tend_for_ever(settings: Settings, pause: timedelta) -> None:
    """Passes until SIGTERM or Ctrl-C, which let the pass that runs end with the message that it is sending.

    A line is printed when it is new: what goes on being wrong is said once, and again after it was right.
    """
    stopped = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stopped.set())
    pace, before = Pace(_now, stopped.is_set), list[str]()
    while not stopped.is_set():
        lines = tend(settings, known_server(settings, os.environ), _now(), pace=pace)
        _print(f"{_now():%Y-%m-%d %H:%M:%S} {line}" for line in lines if line not in before)
        before = lines
        stopped.wait(pause.total_seconds())


def _now() -> datetime:
    return datetime.now(UTC)


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line)
