"""`evergreen prune`: retention that keeps what the ledger needs."""

import getpass
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from evergreen.errors import UserError
from evergreen.settings import Settings

if TYPE_CHECKING:
    from evergreen.stages.prune import Plan

_SHOWN = 40


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(prune)


def prune(
    model: Annotated[str | None, typer.Argument(help="A registered model; all of them when left out.")] = None,
    older_than: Annotated[str, typer.Option(metavar="AGE", help="Younger things stay: 180d, 26w.")] = "180d",
    keep: Annotated[int, typer.Option(min=0, help="Past champions that stay, however old they are.")] = 5,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what may go, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it without asking.")] = False,
    by: Annotated[str, typer.Option(help="Who prunes; the user of this machine when left out.")] = "",
) -> None:
    """Remove versions, runs, snapshots and files that are old and that nothing rests on."""
    from evergreen.cli.console import open_console
    from evergreen.cli.keeping import known_model, known_models
    from evergreen.stages import prune as stage
    from evergreen.stages.open import connect
    from evergreen.stages.prunable import Rules

    settings, console = Settings.from_environment(), open_console()
    rules = Rules(_age(older_than), keep)
    if not known_models(settings):
        console.print("nothing to prune: no decision was made here yet")
        return
    connect(settings)
    pruning = stage.Pruning(settings, rules, by or getpass.getuser(), datetime.now(UTC), known_model(model, settings))
    planned = stage.plan(pruning)
    _show(console, planned)
    if not planned.items or dry_run:
        return
    if not (yes or _agreed(planned)):
        console.print("nothing was removed")
        return
    done = stage.prune(planned, pruning)
    for line in done.left[len(planned.left) :]:
        console.print(f"[yellow]{escape(line)}[/]", highlight=False)
    console.print(f"removed: {len(done.items)} of {len(planned.items)}, {in_bytes(done.size)}", highlight=False)


def in_bytes(size: int | None) -> str:
    """A number of bytes for people.

    >>> in_bytes(999), in_bytes(1_234_567), in_bytes(None)
    ('999 B', '1.2 MB', '–')
    """
    if size is None:
        return "–"
    amount, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def _age(text: str) -> timedelta:
    from evergreen.spec.base import parse_duration

    try:
        age: timedelta = parse_duration(text)
        return age
    except ValueError as error:
        raise UserError(f"--older-than: {error}") from None


def _show(console: Console, planned: "Plan") -> None:
    table = Table("what", "model", "which", "last touched", "bytes", "why it may go", box=None, pad_edge=False)
    for item in planned.items[:_SHOWN]:
        which = item.name if len(item.name) <= _SHOWN else f"…{item.name[-_SHOWN:]}"
        row = (item.thing, item.model or "–", which, f"{item.came:%Y-%m-%d}", in_bytes(item.size), item.why)
        table.add_row(*map(escape, row))
    if planned.items:
        console.print(table)
    if (more := len(planned.items) - _SHOWN) > 0:
        console.print(f"… and {more} more")
    for line in planned.left:
        console.print(f"[yellow]{escape(line)}[/]", highlight=False)
    size = in_bytes(planned.size)
    said = f"{len(planned.items)} things may go, {size}" if planned.items else "nothing may go"
    console.print(said, highlight=False)


def _agreed(planned: "Plan") -> bool:
    if not sys.stdin.isatty():
        raise UserError("nothing was removed: nobody is there to ask; --yes removes what is listed")
    return typer.confirm(f"Remove {len(planned.items)} things for good?")
