"""What a person decides: approve, reject, go back, pin. None of it needs an orchestrator."""

import getpass
import logging
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from evergreen.settings import Settings

DecisionArgument = Annotated[
    int, typer.Argument(min=1, help="Number of the decision, as evergreen status shows it.", show_default=False)
]
ModelArgument = Annotated[str, typer.Argument(help="A spec in configs/, or a registered model.", show_default=False)]
WhyOption = Annotated[str, typer.Option(help="The reason, for whoever asks a year from now.", show_default=False)]
ByOption = Annotated[str, typer.Option(help="Who decides; the user of this machine when left out.")]


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands."""
    for command in (approve, reject, rollback, pin, unpin):
        app.command()(command)


def approve(decision: DecisionArgument, why: WhyOption, by: ByOption = "") -> None:
    """Promote the challenger that a HOLD keeps waiting."""
    from evergreen.gate.decision import DecisionKind
    from evergreen.stages import answer

    _speak()
    entry = answer.approve(decision, _who(by), why, Settings.from_environment(), datetime.now(UTC))
    promoted = entry.kind is DecisionKind.PROMOTE
    fate = f"version {entry.version} is champion" if promoted else f"it is rejected, as its {entry.reasons[-1]}"
    typer.echo(f"{entry.model}: {fate} (decision {entry.id}, {entry.reasons[0]})")
    sys.exit(0 if promoted else 1)


def reject(decision: DecisionArgument, why: WhyOption, by: ByOption = "") -> None:
    """Turn down the challenger that a HOLD keeps waiting; the champion stays."""
    from evergreen.stages import answer

    _speak()
    entry = answer.reject(decision, _who(by), why, Settings.from_environment(), datetime.now(UTC))
    typer.echo(f"{entry.model}: decision {decision} is rejected (decision {entry.id}, {entry.reasons[0]})")


def rollback(
    model: ModelArgument,
    why: WhyOption,
    to: Annotated[int | None, typer.Option(min=1, help="The version to go back to.")] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="To the champion of that moment.")] = None,
    pin: Annotated[bool, typer.Option("--pin", help="And pin it there, until evergreen unpin.")] = False,
    by: ByOption = "",
) -> None:
    """Make an earlier champion champion again, by default the one before."""
    from evergreen.stages.open import find_model
    from evergreen.stages.rollback import Target
    from evergreen.stages.rollback import rollback as go_back
    from evergreen.store.pins import Pins

    _speak()
    settings = Settings.from_environment()
    target = Target(to, _moment(at), pin)
    entry = go_back(find_model(model, settings), target, _who(by), why, settings, datetime.now(UTC))
    before = f", instead of version {entry.champion_before}" if entry.champion_before else ""
    found = Pins(settings.store_url).pinned(entry.model)
    pinned = f"; it is pinned by {found.by}: {found.why}" if found else ""
    typer.echo(f"{entry.model}: version {entry.version} is champion again{before} (decision {entry.id}){pinned}")


def pin(model: ModelArgument, why: WhyOption, by: ByOption = "") -> None:
    """Keep the champion: no run replaces it until it is unpinned."""
    from evergreen.stages import pin as stage
    from evergreen.stages.open import find_model

    settings = Settings.from_environment()
    found = stage.pin(find_model(model, settings), _who(by), why, settings, datetime.now(UTC))
    typer.echo(f"{found.model}: the champion is pinned by {found.by}: {found.why}")


def unpin(model: ModelArgument, why: WhyOption, by: ByOption = "") -> None:
    """Let runs replace the champion again."""
    from evergreen.stages import pin as stage
    from evergreen.stages.open import find_model

    settings = Settings.from_environment()
    found = stage.unpin(find_model(model, settings), _who(by), why, settings, datetime.now(UTC))
    typer.echo(f"{found.model}: unpinned; it was pinned by {found.by} since {found.at:%Y-%m-%d %H:%M} UTC")


def _who(by: str) -> str:
    return by or getpass.getuser()


def _moment(text: str | None) -> datetime | None:
    from evergreen.cli.main import parse_moment

    return None if text is None else parse_moment(text)


def _speak() -> None:
    """What is put in order on the way is said on the terminal, as a run says it."""
    logging.basicConfig(format="  %(message)s", level=logging.WARNING)
    logging.getLogger("evergreen").setLevel(logging.INFO)
