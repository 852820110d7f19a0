"""`evergreen run`: the retraining flow, with progress and a summary on the terminal."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console

from evergreen.cli.console import open_console, shorten
from evergreen.cli.launch import environment, load_flow
from evergreen.cli.progress import progress
from evergreen.gate.decision import Reason
from evergreen.report.summary import summarize
from evergreen.settings import Settings
from evergreen.stages.open import read_spec
from evergreen.stages.run import Conclusion


def retrain(model: str, moments: Sequence[datetime], reason: Reason, *, dry_run: bool, force: bool) -> list[Conclusion]:
    """Run `flows/retrain.py` once a moment, in order, and print how each run ended.

    Raises what the flow raises: EvergreenError for everything that has a next step.
    """
    settings = Settings.from_environment()
    # A spec that cannot be read is said at once, before a server is started for it.
    read_spec(model, settings)
    console = open_console()
    with environment(settings), progress(console):
        console.print(f"[bold]{model}[/bold]  starting Prefect …", highlight=False)
        flow = load_flow("retrain", Path.cwd())
        conclusions = []
        for moment in moments:
            console.rule(f"{model} as of {moment:%Y-%m-%d %H:%M} UTC", align="left")
            conclusion = flow(model=model, reason=reason, as_of=moment, dry_run=dry_run, force=force)
            conclusions.append(conclusion)
            text = summarize(conclusion.report, console.width, color=console.is_terminal)
            console.file.write(f"\n{text}  report        {shorten(conclusion.page)}\n\n")
    _print_next_steps(console, model, settings)
    return conclusions


def _print_next_steps(console: Console, model: str, settings: Settings) -> None:
    console.rule("look closer", align="left")
    file = settings.tracking_file
    mlflow = settings.tracking_uri if file is None else f"mlflow ui --backend-store-uri sqlite:///{shorten(file)}"
    for name, text in (("runs, trials, models", mlflow), ("decisions so far", f"evergreen history {model}")):
        console.print(f"  {name:<22}{text}", markup=False, highlight=False, soft_wrap=True)
