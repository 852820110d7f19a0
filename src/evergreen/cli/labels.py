"""`evergreen labels`: which predictions to ask people about, and their answers."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from evergreen.errors import UserError
from evergreen.settings import Settings


def add_commands(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command()(labels)


def labels(
    model: Annotated[str, typer.Argument(help="A spec in configs/, without .yaml.", show_default=False)],
    top: Annotated[int, typer.Option(min=1, help="How many predictions to ask for.")] = 200,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write them here; to the screen if left out.")
    ] = None,
    take: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Take such a file back, its column `label` filled in.")
    ] = None,
    days: Annotated[float, typer.Option(min=0, help="Look at predictions of so many days.")] = 30,
    seed: Annotated[int, typer.Option(help="Another seed draws other ones of equal worth.")] = 0,
) -> None:
    """The unlabelled predictions most worth a label, as a CSV file; or the labels that people wrote into one."""
    now, settings = datetime.now(UTC), Settings.from_environment()
    if take is not None:
        if out is not None:
            raise UserError("--take reads labels and --out writes predictions; give one of the two")
        _take(model, take, settings, now)
        return
    from evergreen.cli.launch import environment
    from evergreen.stages.wanted import Search, find_wanted, write_wanted

    with environment(settings):
        found = find_wanted(model, Search(now - timedelta(days=days), now, top, seed), settings)
    if out is None:
        write_wanted(found, sys.stdout)
        return
    with out.open("w", encoding="utf-8", newline="") as file:
        write_wanted(found, file)
    typer.echo(f"{out}: {len(found):,} predictions. Fill in label, then: evergreen labels {model} --take {out}")


def _take(model: str, path: Path, settings: Settings, now: datetime) -> None:
    from evergreen.cli.launch import environment
    from evergreen.stages.taken import take_labels

    with environment(settings):
        taken = take_labels(model, path, settings, now)
    said = [f"{count:,} {outcome}" for outcome, count in sorted(taken.outcomes.items())]
    typer.echo(f"{path}: {', '.join([*said, f'{taken.blank:,} without a label yet'])}")
