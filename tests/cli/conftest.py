"""The `evergreen` command: in this process where that is quick, in one of its own where a flow runs."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Answer:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """All of it, on one line: terminals and boxes wrap anywhere."""
        return " ".join((self.out + self.err).replace("│", " ").split())


@pytest.fixture
def evergreen(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Run a command in this process."""
    from evergreen.cli.main import main

    def run(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["evergreen", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Answer(int(ended.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def command() -> Callable[..., tuple[list[str], Mapping[str, Any]]]:
    """Command line and options for a process of its own, in the folder that holds flows/."""

    def build(*arguments: object, **environment: str) -> tuple[list[str], Mapping[str, Any]]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
        options = {"cwd": REPOSITORY, "env": {**inherited, "COLUMNS": "200", **environment}, "text": True}
        return [sys.executable, "-m", "evergreen.cli.main", *map(str, arguments)], options

    return build


@pytest.fixture
def process(command: Callable[..., Any]) -> Callable[..., Answer]:
    """Run a command in a process of its own."""

    def run(*arguments: object, **environment: str) -> Answer:
        line, options = command(*arguments, **environment)
        done = subprocess.run(line, **options, capture_output=True, check=False, timeout=300)
        return Answer(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def anchored(project: Any) -> Any:
    """A project whose spec names its table by an absolute path, for commands that run elsewhere."""
    project.change(data__source={"kind": "csv", "path": str(project.table)})
    return project
