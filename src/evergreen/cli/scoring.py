"""`evergreen score`: the champion's answers for rows whose label nobody knows yet."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from evergreen.data.chunks import CHUNK_ROWS
from evergreen.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console

    from evergreen.stages.score import Told


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(score)


def score(
    model: Annotated[str, typer.Argument(help="A spec in configs/, without .yaml.", show_default=False)],
    as_of: Annotated[
        str | None, typer.Option(metavar="TIME", help="Rows that wait for their label at this moment; now by default.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="FILE", help="Score every row of this CSV or Parquet file instead.")
    ] = None,
    out: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Write there, and not below EVERGREEN_HOME/scores.")
    ] = None,
    chunk_rows: Annotated[int, typer.Option(min=1, help="Rows at once in memory, and in a part.")] = CHUNK_ROWS,
) -> None:
    """Score rows with the champion, in chunks, into Parquet; go on where an earlier attempt stopped."""
    from evergreen.cli.console import open_console, shorten
    from evergreen.cli.launch import environment
    from evergreen.cli.main import parse_moment
    from evergreen.cli.progress import progress
    from evergreen.stages import score as stage
    from evergreen.stages.scorer import open_scorer, take_rows

    # Whole seconds, so that whoever goes on after a stop can name the moment.
    moment = datetime.now(UTC).replace(microsecond=0) if as_of is None else parse_moment(as_of)
    settings, console = Settings.from_environment(), open_console()
    with environment(settings), progress(console):
        scorer = open_scorer(model, data, settings)
        console.print(f"{scorer.title} as of {moment:%Y-%m-%dT%H:%M:%SZ}", markup=False)
        snapshot = take_rows(scorer, moment, settings)
        with _bar(console) as told:
            to = stage.Destination(out, chunk_rows)
            scores = stage.score_rows(scorer, snapshot, to, settings, datetime.now(UTC), told)
    console.print(f"{stage.tell(scores)}\n{shorten(scores.folder)}", markup=False, soft_wrap=True)


@contextmanager
def _bar(console: "Console") -> "Iterator[Told]":
    """A bar below the lines of the chunks, where somebody watches."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task("rows", total=None)
        yield lambda done, rows: shown.update(task, completed=done, total=rows)
