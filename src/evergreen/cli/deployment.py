"""`evergreen deploy`: bring Prefect in step with the specs."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evergreen.errors import UserError
from evergreen.settings import Settings

if TYPE_CHECKING:
    from evergreen.orchestrator.pool import PoolPlan


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(deploy)


def deploy(
    write: Annotated[bool, typer.Option("--write", help="Write prefect.yaml from the specs, and stop there.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Say whether prefect.yaml is in step; exit 1 if not.")] = False,
    pool_type: Annotated[
        str, typer.Option(metavar="TYPE", help="The work pool's type: process, docker, kubernetes.")
    ] = "process",
    job_template: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What a run in the work pool is made of; its pause and its limit stay."),
    ] = None,
) -> None:
    """Bring Prefect in step with the specs: prefect.yaml, work pool, deployments, schedules, automations."""
    from evergreen.cli.launch import environment
    from evergreen.cli.server import require_server
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
        api, pool = require_server(settings, os.environ), _pool(pool_type, job_template)
        with environment(settings):
            for line in room.deploy(api, project, settings.configs, {**os.environ, **api.environment}, pool):
                typer.echo(line)


def _pool(pool_type: str, file: Path | None) -> "PoolPlan":
    from evergreen.orchestrator.pool import PoolPlan, read_template

    return PoolPlan(pool_type, read_template(file) if file else None)
