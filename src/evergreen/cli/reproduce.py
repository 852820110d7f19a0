"""`evergreen reproduce`: is a version what its records say it is?"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from evergreen.errors import UserError
from evergreen.settings import Settings

if TYPE_CHECKING:
    from evergreen.stages.reproduce import Reproduction

_SAME = "every answer on the holdout is the same"


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(reproduce)


def reproduce(
    model: Annotated[str, typer.Argument(help="A registered model.", show_default=False)],
    version: Annotated[int, typer.Argument(min=1, help="Its version.", show_default=False)],
    this_code: Annotated[
        bool, typer.Option("--this-code", help="Use the code that is here, not the commit that trained the version.")
    ] = False,
) -> None:
    """Train a version again from its snapshot, spec, code and seed, and compare answers and metrics."""
    from evergreen.cli.console import open_console
    from evergreen.cli.launch import environment
    from evergreen.registry.provenance import COMMIT
    from evergreen.stages import reproduce as stage

    settings = Settings.from_environment()
    with environment(settings), tempfile.TemporaryDirectory(prefix="evergreen-reproduce-") as scratch:
        folder = Path(scratch)
        recorded = stage.find_recorded(model, version, settings)
        if not this_code and not stage.is_this_code(recorded, stage.recorded_spec(recorded, settings, folder)):
            with _checkout(recorded.tags.get(COMMIT, ""), f"{model} version {version}") as project:
                sys.exit(_run_there(project, model, version, settings))
        console = open_console()
        console.print(f"{escape(model)} version {version}: searching and training again …", highlight=False)
        found = stage.reproduce(recorded, settings, folder)
        _show(console, found)
    sys.exit(0 if found.equal else 1)


@contextmanager
def _checkout(commit: str, what: str) -> Iterator[Path]:
    """The project at a commit, in a folder of its own. Raises UserError where that cannot be had."""
    anyway = "--this-code trains it with the code that is here"
    if not commit or commit.endswith("-dirty"):
        why = f"with changes on top of commit {commit[:12]}" if commit else "outside a git checkout"
        raise UserError(f"{what} was trained by other code than this, {why}: nobody has it any more; {anyway}")
    with tempfile.TemporaryDirectory(prefix="evergreen-code-") as scratch:
        project = Path(scratch) / "code"
        git = ["git", "worktree"]
        done = subprocess.run(
            [*git, "add", "--quiet", "--detach", str(project), commit], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            why = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "git failed"
            raise UserError(f"{what} was trained by commit {commit[:12]}, which cannot be had here ({why}); {anyway}")
        try:
            yield project
        finally:
            subprocess.run([*git, "remove", "--force", str(project)], capture_output=True, check=False)


def _run_there(project: Path, model: str, version: int, settings: Settings) -> int:
    path = os.pathsep.join([str(project / "src"), str(project)])
    places = {"EVERGREEN_HOME": str(settings.home), "PYTHONPATH": path}
    command = [sys.executable, "-m", "evergreen.cli.main", "reproduce", model, str(version), "--this-code"]
    return subprocess.run(command, cwd=project, env={**os.environ, **places}, check=False).returncode


def _show(console: Console, found: "Reproduction") -> None:
    table = Table("metric", "recorded", "trained again", box=None, pad_edge=False)
    for name, values in sorted(found.metrics.items()):
        table.add_row(escape(name), *("–" if value is None else f"{value:.6g}" for value in values))
    console.print(table)
    said = _SAME if found.equal else f"answers differ, at most by {found.difference:.3g}"
    style = "green" if found.equal else "red"
    console.print(f"[{style}]{found.rows:,} rows of the holdout: {said}[/]", highlight=False)
    for note in found.notes:
        console.print(f"[yellow]{escape(note)}[/]")
