"""`evergreen serve` and `evergreen serve-key`."""

from pathlib import Path
from typing import Annotated

import typer

from evergreen.settings import Settings


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(serve)
    app.command()(serve_key)


def serve(  # noqa: PLR0913 - options of a command are its parameters
    models: Annotated[
        list[str] | None,
        typer.Argument(help="Specs in configs/, or registered models; all that have a champion when left out."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to serve on; beyond this machine only with keys.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to serve on; 0 for any that is free.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that share the port.")] = 1,
    durable: Annotated[bool, typer.Option("--durable", help="Answer only what is in the store already.")] = False,
    keys: Annotated[Path | None, typer.Option(metavar="FILE", help="API keys, as evergreen serve-key prints.")] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Requests a second of one key or address; any number when left out.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for models that have no champion yet.")] = False,
) -> None:
    """Serve champions over HTTP: predictions, feedback, metrics; follow them when another one is promoted."""
    from evergreen.cli.serve import ServeOptions, run

    run(ServeOptions(tuple(models or ()), host, port, workers, durable, keys, rate, wait), Settings.from_environment())


def serve_key(
    name: Annotated[str, typer.Argument(help="Whose key it is, for logs.", show_default=False)],
    scope: Annotated[list[str] | None, typer.Option(help="predict, feedback or admin; repeat for several.")] = None,
    to: Annotated[Path | None, typer.Option(metavar="FILE", help="Add its line to this file.")] = None,
) -> None:
    """Make an API key: printed once, to be kept by its owner; a server knows its hash only."""
    from evergreen.cli.serve import parse_scopes
    from evergreen.errors import UserError
    from evergreen.serving.keys import ENVIRONMENT, add_line, make_key

    if not name.isprintable() or not name or any(c in name for c in " ;#"):
        raise UserError(f"{name!r}: a name has no blanks, ; or #")
    text, key = make_key(name, parse_scopes(scope or ["predict", "feedback"]))
    typer.echo(f"key   {text}")
    if to is not None:
        add_line(to, key)
        typer.echo(f"line  added to {to}; a server that reads it knows the key within seconds", err=True)
    else:
        typer.echo(f"line  {key.line}")
        typer.echo(f"put the line into the file of --keys, or into {ENVIRONMENT}", err=True)
