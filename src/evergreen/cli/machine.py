"""`evergreen up` and `evergreen down`: everything on this machine."""

import os
from typing import Annotated

import typer

from evergreen.settings import Settings

_CORES = os.cpu_count() or 1


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(up)
    app.command()(down)


def up(  # noqa: PLR0913 - options of a command are its parameters
    prefect_port: Annotated[int, typer.Option(min=0, max=65535, help="Of Prefect's server; 0: any.")] = 4200,
    mlflow_port: Annotated[int, typer.Option(min=0, max=65535, help="Of MLflow's server; 0: any.")] = 5000,
    serve_port: Annotated[int, typer.Option(min=0, max=65535, help="Of what serves champions; 0: any.")] = 8000,
    serve: Annotated[bool, typer.Option(" /--no-serve", help="Serve no champions.", show_default=False)] = True,
    workers: Annotated[
        int, typer.Option(min=1, help="Runs at once; the number of cores.", show_default=False)
    ] = _CORES,
    grace: Annotated[float, typer.Option(min=0, help="Seconds that a run has to close when all is stopped.")] = 30,
    detach: Annotated[bool, typer.Option("--detach", help="Return once all is up; evergreen down stops it.")] = False,
) -> None:
    """Start everything on this machine, watch it, and stop it on Ctrl-C."""
    from evergreen.cli.detach import start_detached
    from evergreen.cli.up import UpOptions, run_up

    options = UpOptions(prefect_port, mlflow_port, workers, grace, serve_port if serve else None)
    settings = Settings.from_environment()
    start_detached(options, settings) if detach else run_up(options, settings)


def down(
    wait: Annotated[float, typer.Option(min=0, help="Seconds until it is stopped by force.")] = 180,
) -> None:
    """Stop what `evergreen up` started for this home."""
    from evergreen.cli.down import run_down

    run_down(wait, Settings.from_environment())
