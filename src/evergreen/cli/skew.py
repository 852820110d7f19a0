"""`evergreen skew`: does serving compute what training computes?"""

import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from evergreen.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console

    from evergreen.stages.skew import Skew


def add_commands(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command()(skew)


def skew(
    model: Annotated[str, typer.Argument(help="A spec in configs/, without .yaml.", show_default=False)],
    rows: Annotated[int, typer.Option(min=1, help="Newest captured rows to replay, at least.")] = 1000,
) -> None:
    """Answer captured rows again with their version's own pipeline; exit with 1 where any answer differs."""
    from evergreen.cli.console import open_console
    from evergreen.cli.launch import environment
    from evergreen.stages.skew import measure_skew

    settings, console = Settings.from_environment(), open_console()
    with environment(settings):
        found = measure_skew(model, rows, settings)
    _show(console, found)
    sys.exit(1 if any(each.found for each in found) else 0)


def _show(console: "Console", found: "tuple[Skew, ...]") -> None:
    table = Table("version", "rows", "equal", "largest difference", box=None, pad_edge=False)
    for each in found:
        measured = ("-", "not measured") if each.problem else (f"{each.equal:,}", f"{each.difference:.3g}")
        table.add_row(str(each.version), f"{each.rows:,}", *measured)
    console.print(table)
    for each in found:
        if each.problem:
            console.print(f"[yellow]{escape(f'version {each.version}: {each.problem}')}[/]", highlight=False)
        for row in each.first:
            said = f"version {each.version}, prediction {row.id}: served {row.served}, replayed {row.replayed}"
            console.print(f"[red]{escape(said)}, difference {row.difference:.3g}[/]", highlight=False)
    if not any(each.found for each in found):
        which = "every answer that was measured" if any(each.problem for each in found) else "every answer"
        console.print(f"[green]{which} is the same[/]")
