"""`evergreen affected`: which specs a change may give other models, for those who retrain on every change."""

import json
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from evergreen.errors import UserError
from evergreen.settings import Settings

# What every model is made from. Data is read by some and named by specs in many ways, so it counts for all.
COMMON = ("src/", "flows/", "tasks/", "data/", "requirements/run.txt", "pyproject.toml")


def add_commands(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(affected)


def affected(
    since: Annotated[
        str | None, typer.Option(metavar="COMMIT", help="What changed since then; every spec without it.")
    ] = None,
) -> None:
    """Specs that a change may give other models, as a JSON list: for a matrix of jobs.

    A spec whose schedule is not active is not retrained by itself, and is left out.
    """
    from evergreen.spec import load_spec

    configs, project = Settings.from_environment().configs, Path.cwd()
    specs = sorted(path.stem for path in configs.glob("*.yaml") if load_spec(path).schedule.active)
    if since is not None:
        folder = configs.relative_to(project).as_posix() if configs.is_relative_to(project) else ""
        specs = affected_specs(changed_files(since, project), specs, folder)
    typer.echo(json.dumps(specs))


def affected_specs(changed: Iterable[str], specs: Sequence[str], folder: str = "configs") -> list[str]:
    """The specs of a folder that changed files, relative to the project, may matter to.

    >>> affected_specs(["configs/churn.yaml", "docs/gate.md"], ["churn", "houses"])
    ['churn']
    >>> affected_specs(["src/evergreen/gate/judge.py"], ["churn", "houses"])
    ['churn', 'houses']
    """
    files = set(changed)
    if any(file.startswith(COMMON) for file in files):
        return list(specs)
    return [spec for spec in specs if f"{folder}/{spec}.yaml" in files]


def changed_files(since: str, project: Path) -> list[str]:
    """Files that differ between a commit and the one checked out, since the two parted. Raises UserError."""
    command = ["git", "diff", "--name-only", "--no-renames", "-z", "--relative", f"{since}...HEAD", "--"]
    try:
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UserError("git is not installed here; leave --since out to retrain every spec") from None
    if done.returncode != 0:
        why = (done.stderr.strip().splitlines() or ["it said nothing"])[0]
        raise UserError(f"--since {since}: git cannot compare ({why}); fetch the commit, or leave --since out")
    return [name for name in done.stdout.split("\0") if name]
