"""Keeping what there is in order: `evergreen audit` and `evergreen reconcile`."""

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape

from evergreen.errors import UserError
from evergreen.settings import Settings

ModelOption = Annotated[str | None, typer.Argument(help="A registered model; all of them when left out.")]


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(audit)
    app.command()(reconcile)


def audit(model: ModelOption = None) -> None:
    """Verify ledger, aliases, artifacts, snapshots and tracking against each other; change nothing."""
    from evergreen.cli.console import open_console
    from evergreen.stages import audit as stage

    settings, console = Settings.from_environment(), open_console()
    if not known_models(settings):
        console.print("nothing to audit: no decision was made here yet")
        return
    found = stage.audit(settings, known_model(model, settings))
    for problem in (*found.notes, *found.problems):
        where, colour = escape(problem.model or "ledger"), "dim" if problem.harmless else "red"
        said = f"{'harmless: ' if problem.harmless else ''}{problem.what}"
        console.print(f"[{colour}]{where}[/]  {escape(said)}\n    {escape(problem.do)}", highlight=False)
    said = "[green]all of it agrees[/]" if found.clean else f"[red]{len(found.problems)} problems[/]"
    counts = f"{found.models} models, {found.decisions} decisions, {found.artifacts} versions"
    console.print(f"{counts}: {said}", highlight=False)
    sys.exit(0 if found.clean else 1)


def reconcile(model: ModelOption = None) -> None:
    """Finish or undo what a killed run left half done."""
    from evergreen.stages.tidy import tidy

    settings = Settings.from_environment()
    chosen = known_model(model, settings)
    lines = [line for name in ([chosen] if chosen else known_models(settings)) for line in tidy(name, settings, _now())]
    typer.echo("\n".join(lines) or "nothing was left half done")


def known_model(model: str | None, settings: Settings) -> str | None:
    """The model, if the ledger knows it. Raises UserError for one that it does not."""
    known = known_models(settings)
    if model is not None and model not in known:
        raise UserError(f"{model}: no decision on it in the ledger, which knows {', '.join(known) or 'no model yet'}")
    return model


def known_models(settings: Settings) -> tuple[str, ...]:
    """Every model of the ledger, which is migrated first; none where there is no store yet."""
    from evergreen.store.ledger import Ledger

    file = settings.store_file
    if file is not None and not file.exists():
        return ()
    ledger = Ledger(settings.store_url)
    ledger.prepare()
    return ledger.models()


def _now() -> datetime:
    return datetime.now(UTC)
