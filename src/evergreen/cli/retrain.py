"""`evergreen run`: the retraining flow, with progress and a summary on the terminal."""

import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from evergreen.address import redacted
from evergreen.cli.console import open_console, shorten
from evergreen.cli.launch import environment, load_flow, use_running_server
from evergreen.cli.progress import progress
from evergreen.cli.server import is_chosen, require_chosen, start_server
from evergreen.gate.decision import Reason
from evergreen.report.summary import summarize
from evergreen.settings import Settings
from evergreen.stages.open import read_spec
from evergreen.stages.run import Conclusion, require_past


def retrain(model: str, moments: Sequence[datetime], reason: Reason, *, dry_run: bool, force: bool) -> list[Conclusion]:
    """Run `flows/retrain.py` once a moment, in order, and print how each run ended.

    Raises what the flow raises: EvergreenError for everything that has a next step.
    """
    for moment in moments:
        require_past(moment, datetime.now(UTC), "--as-of")
    settings = Settings.from_environment()
    console = open_console()
    chosen = is_chosen(os.environ)
    # Whoever stops a service sends SIGTERM: then, too, a run shall close what it has opened.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with environment(settings), progress(console):
        # A spec that cannot be read is said at once, before a server is started for it.
        read_spec(model, settings)
        require_chosen(os.environ)
        console.print(f"[bold]{model}[/bold]  starting Prefect …", highlight=False)
        running = None if chosen else use_running_server(settings)
        wait = None if chosen or running else start_server(settings)
        flow = load_flow("retrain", Path.cwd())
        if wait:
            wait()
        conclusions = []
        for moment in moments:
            console.rule(f"{model} as of {moment:%Y-%m-%d %H:%M} UTC", align="left")
            conclusion = flow(model=model, reason=reason, as_of=moment, dry_run=dry_run, force=force)
            conclusions.append(conclusion)
            _print_end(console, conclusion)
    _print_next_steps(console, model, settings, running.prefect_ui if running else "" if chosen else None)
    return conclusions


def _print_end(console: Console, conclusion: Conclusion) -> None:
    text = summarize(conclusion.report, console.width, color=console.is_terminal)
    # A run that was dropped has not come as far as a report.
    page = f"  report        {shorten(conclusion.page)}\n" if conclusion.page else ""
    console.file.write(f"\n{text}{page}\n")


def _print_next_steps(console: Console, model: str, settings: Settings, pages: str | None) -> None:
    """`pages` is where Prefect shows the run; empty where the caller knows, None where no server runs any more."""
    folder = shorten(Path(sys.executable).parent)
    console.rule("look closer", align="left")
    steps = [("decisions so far", f"{folder}/evergreen history {model}")]
    if settings.tracking_file is None:
        steps.append(("MLflow", redacted(settings.tracking_uri)))
    else:
        uri = f"sqlite:///{shorten(settings.tracking_file)}"
        steps.append(("MLflow UI", f"{folder}/mlflow ui --backend-store-uri {uri}"))
    if pages:
        steps.append(("Prefect UI", pages))
    elif pages is None:
        home = shorten(settings.home / "prefect")
        steps.append(("Prefect UI", f"PREFECT_HOME={home} PREFECT_UI_API_URL=/api {folder}/prefect server start"))
    for name, text in steps:
        console.print(f"  {name:<18}{text}", markup=False, soft_wrap=True)
