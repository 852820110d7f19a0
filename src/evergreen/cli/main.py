"""The `evergreen` command."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from evergreen.cli import (
    affected,
    alerting,
    canary,
    deployment,
    doctor,
    keeping,
    labels,
    loop,
    machine,
    monitor,
    people,
    prune,
    reproduce,
    scoring,
    serving,
    simulate,
    skew,
)
from evergreen.cli.process import one_run
from evergreen.errors import EvergreenError
from evergreen.gate.decision import Reason
from evergreen.settings import Settings

app = typer.Typer(
    name="evergreen",
    help="Keeps tabular models fresh: retrain, compare with evidence, promote.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

STOPPED = 130

ModelArgument = Annotated[str, typer.Argument(help="A spec in configs/, without .yaml.", show_default=False)]


def parse_moment(text: str) -> datetime:
    """A date or time as an aware moment; without a zone it is UTC. Raises typer.BadParameter.

    >>> parse_moment("2013-03-04")
    datetime.datetime(2013, 3, 4, 0, 0, tzinfo=datetime.timezone.utc)
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date; write 2026-03-04 or 2026-03-04T06:00+01:00") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


@app.command()
def run(  # noqa: PLR0913 - options of a command are its parameters
    model: ModelArgument,
    as_of: Annotated[
        list[datetime] | None,
        typer.Option(
            parser=parse_moment, metavar="TIME", help="Look from this moment, now by default; repeat to run several."
        ),
    ] = None,
    reason: Annotated[Reason, typer.Option(help="Why the run is started.")] = Reason.MANUAL,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Decide and report; registry and ledger stay.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Train again even where a twin was decided on.")] = False,
    fail_on: Annotated[
        str | None, typer.Option(metavar="DECISIONS", help="Exit with 3 on one of these: reject,hold.")
    ] = None,
    summary: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the decisions as Markdown.")] = None,
) -> None:
    """Retrain a model, compare it with its champion and decide."""
    from evergreen.cli.outcome import exit_code, parse_kinds, write_summary
    from evergreen.cli.retrain import retrain

    unwanted = parse_kinds(fail_on) if fail_on is not None else frozenset()
    conclusions = retrain(model, as_of or [datetime.now(UTC)], reason, dry_run=dry_run, force=force)
    if summary is not None:
        write_summary(summary, conclusions)
    sys.exit(exit_code(conclusions, unwanted))


@app.command()
def check(
    model: ModelArgument,
    as_of: Annotated[
        datetime | None,
        typer.Option(parser=parse_moment, metavar="TIME", help="Look from this moment, now by default."),
    ] = None,
) -> None:
    """Read the spec and its data and apply the schema's rules; train nothing."""
    from evergreen.cli.inspect import check_model

    sys.exit(check_model(model, as_of or datetime.now(UTC), Settings.from_environment()))


@app.command()
def status() -> None:
    """Every model with its champion and its last decision."""
    from evergreen.cli.inspect import show_status

    show_status(Settings.from_environment())


@app.command()
def history(
    model: ModelArgument,
    at: Annotated[
        datetime | None,
        typer.Option(parser=parse_moment, metavar="TIME", help="Who was champion at that time, and why."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Newest decisions to show.")] = 20,
) -> None:
    """The decisions of a model, newest first."""
    from evergreen.cli.inspect import show_history

    show_history(model, at, limit, Settings.from_environment())


@app.command()
def schema() -> None:
    """The JSON Schema of a spec, for editors."""
    import json

    from evergreen.spec import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


@app.command()
def init(
    model: Annotated[str, typer.Argument(help="Name of the new model.", show_default=False)],
    data: Annotated[Path, typer.Option(help="A CSV or Parquet file.", show_default=False)],
    target: Annotated[str, typer.Option(help="The column to predict.", show_default=False)],
    time: Annotated[str | None, typer.Option(help="The column that says when a row happened.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing spec.")] = False,
) -> None:
    """Look at a table and write a working, commented spec for it."""
    from evergreen.cli.console import shorten
    from evergreen.cli.init import init_spec

    path = Settings.from_environment().configs / f"{model}.yaml"
    init_spec(model, data, target, time, path, force=force)
    typer.echo(f"{shorten(path)} is written. Read it, then: evergreen run {model}")


for module in (
    people,
    canary,
    machine,
    deployment,
    alerting,
    doctor,
    keeping,
    prune,
    reproduce,
    affected,
    scoring,
    serving,
    skew,
    labels,
    monitor,
    simulate,
    loop,
):
    module.add_commands(app)


def main() -> None:
    """Entry point: one message for an error, no traceback for what the caller can put right."""
    try:
        with one_run():
            app()
    except EvergreenError as error:
        typer.secho(f"evergreen: {error}", err=True, fg="red")
        sys.exit(error.exit_code)
    except SystemExit as ended:
        # Typer has made this exit code of Ctrl-C.
        if ended.code == STOPPED:
            typer.secho("evergreen: stopped; the next run continues from what is finished", err=True, fg="yellow")
        raise


if __name__ == "__main__":
    main()
