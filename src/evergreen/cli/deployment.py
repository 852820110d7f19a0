"""`evergreen deploy`: bring Prefect in step with the specs."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evergreen.errors import UserError
from evergreen.settings import Settings

if TYPE_CHECKING:
    from evergreen.orchestrator.api import PrefectApi


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(deploy)


def deploy(
    write: Annotated[bool, typer.Option("--write", help="Write prefect.yaml from the specs, and stop there.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Say whether prefect.yaml is in step; exit 1 if not.")] = False,
) -> None:
    """Bring Prefect in step with the specs: prefect.yaml, work pool, deployments, schedules, automations."""
    from evergreen.cli.launch import environment
    from evergreen.orchestrator import deploy as room
    from evergreen.orchestrator.manifest import FILE, MEND, is_in_step

    settings, project = Settings.from_environment(), Path.cwd()
    if not (project / "flows").is_dir():
        raise UserError(f"{project}: no flows/ here; run evergreen from the project's folder")
    if check:
        if not is_in_step(project, settings.configs):
            typer.echo(f"{FILE} is not in step with {settings.configs.name}/; mend it with: {MEND}")
            raise typer.Exit(1)
        typer.echo(f"{FILE} is in step")
    elif write:
        typer.echo(f"{FILE}: {'written' if room.write_manifest(project, settings.configs) else 'was in step'}")
    else:
        api = find_server(settings, os.environ)
        with environment(settings):
            own = {"PREFECT_API_URL": api.url} | ({"PREFECT_API_AUTH_STRING": api.auth} if api.auth else {})
            for line in room.deploy(api, project, settings.configs, {**os.environ, **own}):
                typer.echo(line)


def find_server(settings: Settings, environ: Mapping[str, str]) -> "PrefectApi":
    """The server that the environment names, or the one that `evergreen up` runs for this home.

    Raises UserError where there is neither.
    """
    from evergreen.orchestrator.api import PrefectApi
    from evergreen.supervisor.state import read_state

    api = PrefectApi.from_environment(environ)
    if api is not None:
        return api
    state = read_state(settings.home)
    if state is None:
        raise UserError("no Prefect server: start `evergreen up`, or set PREFECT_API_URL to one that runs")
    return PrefectApi(state.prefect, environ.get("PREFECT_API_AUTH_STRING") or None)
