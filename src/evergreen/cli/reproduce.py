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
    """Train a version again from its snapshot, spec, code and seed, and compare answers and metrics.

    Exits with 0 where every answer and every metric is the same, with 1 where one is not.
    """
    from evergreen.cli.console import open_console
    from evergreen.cli.launch import environment
    from evergreen.registry.provenance import COMMIT
    from evergreen.stages import reproduce as stage

    settings = Settings.from_environment()
    # Modules of the team's own that the spec names; those of a commit come before.
    sys.path.append(str(Path.cwd()))
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
    # Not in the commit's folder: relative addresses in the environment are meant from here. And not with the modules
    # that lie here, which would come before the commit's.
    command = [sys.executable, "-P", "-m", "evergreen.cli.main", "reproduce", model, str(version), "--this-code"]
    return subprocess.run(command, env={**os.environ, **places}, check=False).returncode


def _show(console: Console, found: "Reproduction") -> None:
    table = Table("metric", "recorded", "trained again", box=None, pad_edge=False)
    for name, values in sorted(found.metrics.items()):
        style = "red" if name in found.moved else None
        table.add_row(escape(name), *("–" if value is None else f"{value:.6g}" for value in values), style=style)
    console.print(table)
    same = "yellow" if found.notes else "green"
    console.print(f"[{same if found.equal else 'red'}]{_verdict(found)}[/]", highlight=False, soft_wrap=True)
    for note in found.notes:
        console.print(f"[yellow]{escape(note)}[/]", soft_wrap=True)


def _verdict(found: "Reproduction") -> str:
    from evergreen.stages.reproduce import METRIC_TOLERANCE

    answers = "every answer on the holdout is the same"
    if not found.same_answers:
        answers = f"answers differ, at most by {found.difference:.3g}"
    metrics = f", every metric to within {METRIC_TOLERANCE:g}" if found.metrics else ""
    if found.moved:
        metrics = f", and metrics differ by more than {METRIC_TOLERANCE:g}: {', '.join(found.moved)}"
    though = ", though not all is as it was recorded:" if found.notes and found.equal else ""
    return f"{found.rows:,} rows of the holdout: {answers}{metrics}{though}"
