"""Commands that look: they answer on an empty home, create nothing there, and are documented."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from evergreen.cli.main import app
from evergreen.spec import load_spec

REPOSITORY = Path(__file__).parents[2]
NAMES = sorted(typer.main.get_command(app).commands)


@pytest.fixture
def empty(project, monkeypatch):
    """A project whose home is not there yet."""
    monkeypatch.setenv("EVERGREEN_HOME", str(project.folder / "new"))
    return project


@pytest.mark.parametrize("arguments", [["status"], ["history", "tiny"], ["history", "tiny", "--at", "2026-01-01"]])
def test_a_home_without_runs_says_so_and_stays_empty(empty, evergreen, arguments):
    answer = evergreen(*arguments)
    assert answer.code == 0
    assert "tiny" in answer.text
    assert re.search(r"no (runs|decisions) yet", answer.text)
    assert not (empty.folder / "new").exists()


def test_a_project_without_specs_is_told_how_to_get_one(empty, evergreen):
    empty.spec_file.unlink()
    assert "evergreen init" in evergreen("status").text


def test_a_broken_spec_does_not_hide_the_others(empty, evergreen):
    (empty.settings.configs / "broken.yaml").write_text("model: [")
    answer = evergreen("status")
    assert answer.code == 0
    assert "not valid YAML" in answer.text
    assert "no runs yet" in answer.text


def test_check_applies_the_rules_and_trains_nothing(empty, evergreen):
    answer = evergreen("check", "tiny", "--as-of", "2026-04-01")
    assert answer.code == 0
    assert "1,081 rows, 997 of them labelled" in answer.text
    assert "PASS" in answer.text
    assert [path.name for path in (empty.folder / "new").iterdir()] == ["snapshots"]
    empty.change(schema__rows={"at_least": 5000})
    answer = evergreen("check", "tiny", "--as-of", "2026-04-01")
    assert answer.code == 1
    assert "wanted at least 5,000" in answer.text


def test_check_shows_the_values_that_break_a_rule(empty, evergreen):
    empty.change(schema__columns={"waited": {"type": "number", "max": 2.5}})
    answer = evergreen("check", "tiny", "--as-of", "2026-04-01")
    assert answer.code == 1
    assert "above max 2.5; first: row" in answer.text


def test_schema_is_json(empty, evergreen):
    answer = evergreen("schema")
    assert answer.code == 0
    assert {"model", "data", "training", "gates"} <= json.loads(answer.out)["properties"].keys()


def test_init_writes_a_spec_that_is_one(empty, evergreen):
    answer = evergreen("init", "fresh", "--data", empty.table, "--target", "leaves", "--time", "at")
    assert answer.code == 0
    spec = load_spec(empty.settings.configs / "fresh.yaml")
    assert (spec.data.target, spec.data.time_column) == ("leaves", "at")
    assert "evergreen run fresh" in answer.text


def test_status_and_history_tell_what_the_ledger_knows(crowned, evergreen):
    assert re.search(r"tiny tiny 1 .* PROMOTE 2026-04-01", evergreen("status").text)
    history = evergreen("history", "tiny")
    assert "PROMOTE" in history.text
    assert "– → 1" in history.text
    (entry,) = crowned.ledger.entries("tiny")
    at = evergreen("history", "tiny", "--at", entry.decided_at.isoformat())
    assert "version 1 was champion" in at.text
    assert "accuracy" in at.text
    assert "no champion at" in evergreen("history", "tiny", "--at", "2020-01-01").text


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help(evergreen, name):
    answer = evergreen(name, "--help")
    assert answer.code == 0
    described = typer.main.get_command(app).commands[name]
    assert described.help
    options = [parameter for parameter in described.params if parameter.param_type_name == "option"]
    assert all(parameter.help for parameter in options if parameter.name != "help"), "an option without help"


@pytest.mark.parametrize("name", NAMES)
def test_every_command_is_in_the_readme(name):
    assert f"evergreen {name}" in (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_the_readme_shows_no_command_that_is_not_there():
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    shown = {name for block in re.findall(r"`+([^`]+)`+", text) for name in re.findall(r"evergreen ([a-z]+)\b", block)}
    assert shown <= set(NAMES)


def test_help_imports_nothing_that_takes_long():
    heavy = ("pandas", "numpy", "mlflow", "sklearn", "prefect", "evidently", "sqlalchemy", "pyarrow", "matplotlib")
    script = (
        "import sys\nsys.argv = ['evergreen', '--help']\n"
        "from evergreen.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
