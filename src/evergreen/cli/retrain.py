"""`evergreen run`: the retraining flow, with progress and a summary on the terminal."""

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console

from evergreen.cli.launch import environment, load_flow
from evergreen.cli.progress import progress
from evergreen.gate.decision import Reason
from evergreen.report.summary import print_summary
from evergreen.settings import Settings
from evergreen.spec import find_spec, load_spec
from evergreen.stages.run import Conclusion


def retrain(model: str, moments: Sequence[datetime], reason: Reason, *, dry_run: bool, force: bool) -> list[Conclusion]:
    """Run `flows/retrain.py` once a moment, in order, and print how each run ended.

    Raises what the flow raises: EvergreenError for everything that has a next step.
    """
    settings = Settings.from_environment()
    # A spec that cannot be read is said at once, before a server is started for it.
    load_spec(find_spec(settings.configs, model))
    console = Console()
    with environment(settings), progress(console):
        console.print(f"[bold]{model}[/bold]  starting Prefect …", highlight=False)
        flow = load_flow("retrain", Path.cwd())
        conclusions = []
        for moment in moments:
            console.rule(f"{model} as of {moment:%Y-%m-%d %H:%M} UTC", align="left")
            conclusion = flow(model=model, reason=reason, as_of=moment, dry_run=dry_run, force=force)
            print_summary(console, conclusion)
            conclusions.append(conclusion)
    _print_next_steps(console, settings)
    return conclusions


def _print_next_steps(console: Console, settings: Settings) -> None:
    console.rule("look closer", align="left")
    if settings.tracking_uri.startswith("sqlite:"):
        uri = os.path.relpath(settings.tracking_uri.removeprefix("sqlite:///"))
        console.print(f"MLflow UI      mlflow ui --backend-store-uri sqlite:///{uri}", markup=False, highlight=False)
    else:
        console.print(f"MLflow UI      {settings.tracking_uri}", markup=False, highlight=False)
    console.print("who was champion when, and why      evergreen history <model>", markup=False, highlight=False)
