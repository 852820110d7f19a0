"""`evergreen reproduce` takes the code that trained a version from git where it is not the code that is here."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from evergreen.registry import provenance as tag
from evergreen.stages.open import tracking_of

REPOSITORY = Path(__file__).parents[2]
GIT = ["git", "-c", "user.name=tester", "-c", "user.email=tester@example.com"]


@pytest.fixture
def checkout(crowned, tmp_path):
    """A repository whose only commit is the code that trained the champion; what lies there now is newer."""
    folder = tmp_path / "repository"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "src", folder / "src", ignore=ignored)
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "as it was"]):
        subprocess.run([*GIT, *command], cwd=folder, check=True, capture_output=True)
    newer = folder / "src" / "evergreen" / "training" / "fit.py"
    newer.write_text(newer.read_text() + "\n# newer\n")
    done = subprocess.run([*GIT, "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True)
    return folder, done.stdout.strip()


def reproduce(folder, project, *arguments):
    home = Path(os.path.relpath(project.settings.home, folder))
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder / "src"),
        # As people write them: relative to where they stand.
        "EVERGREEN_HOME": str(home),
        "EVERGREEN_SNAPSHOTS": str(home / "snapshots"),
        "EVERGREEN_STORE_URL": f"sqlite:///{home / 'evergreen.db'}",
        "MLFLOW_TRACKING_URI": f"sqlite:///{home / 'mlflow.db'}",
        "EVERGREEN_CONFIGS": str(project.settings.configs),
    }
    command = [sys.executable, "-m", "evergreen.cli.main", "reproduce", project.model, "1", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def set_commit(project, commit):
    client = tracking_of(project.settings).client
    client.set_model_version_tag(project.model, "1", tag.COMMIT, commit)


@pytest.mark.slow
def test_the_commit_that_trained_a_version_is_checked_out_and_removed(crowned, checkout):
    folder, commit = checkout
    set_commit(crowned, commit)
    done = reproduce(folder, crowned)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every answer on the holdout is the same, every metric to within 1e-06" in done.stdout
    assert "though" not in done.stdout
    assert "the code is not the one" not in done.stdout
    left = subprocess.run(["git", "worktree", "list"], cwd=folder, capture_output=True, text=True, check=True)
    assert len(left.stdout.splitlines()) == 1


@pytest.fixture
def of_other_code(crowned, monkeypatch, tmp_path):
    """A version that other sources trained, asked about from a repository that is empty."""
    (tmp_path / "empty").mkdir()
    subprocess.run([*GIT, "init", "-q"], cwd=tmp_path / "empty", check=True)
    monkeypatch.chdir(tmp_path / "empty")
    tracking_of(crowned.settings).client.set_model_version_tag(crowned.model, "1", tag.CODE, "older")
    return crowned


@pytest.mark.parametrize(
    ("commit", "why"),
    [("", "outside a git checkout"), ("0" * 40, "cannot be had"), ("1" * 40 + "-dirty", "changes on top")],
)
def test_code_that_nobody_has_is_said_so(of_other_code, evergreen, commit, why):
    set_commit(of_other_code, commit)
    answer = evergreen("reproduce", of_other_code.model, 1)
    assert answer.code == 2
    assert why in answer.err
    assert "--this-code" in answer.err


def test_this_code_says_that_it_is_not_the_one(of_other_code, evergreen):
    answer = evergreen("reproduce", of_other_code.model, 1, "--this-code")
    assert answer.code == 0, answer.text
    assert "the same, every metric to within 1e-06, though not all is as it was recorded:" in answer.out
    assert "the code is not the one that trained this version" in answer.out


def test_metrics_that_differ_are_the_exit_code_of_the_command(crowned, evergreen):
    client = tracking_of(crowned.settings).client
    metrics = json.loads(client.get_model_version(crowned.model, "1").tags[tag.METRICS])
    client.set_model_version_tag(crowned.model, "1", tag.METRICS, json.dumps(metrics | {"accuracy": 0.5}))
    answer = evergreen("reproduce", crowned.model, 1, "--this-code")
    assert answer.code == 1
    assert "every answer on the holdout is the same, and metrics differ by more than 1e-06: accuracy" in answer.text


def test_what_is_missing_is_said_in_one_line(crowned, evergreen):
    answer = evergreen("reproduce", crowned.model, 7)
    assert answer.code == 2
    assert "tiny has no version 7; it has 1" in answer.text
    for snapshot in Path(crowned.settings.snapshots).glob("*.parquet"):
        snapshot.unlink()
    answer = evergreen("reproduce", crowned.model, 1, "--this-code")
    assert answer.code == 1
    assert "cannot be trained again without the data that trained it" in answer.text
    assert "Traceback" not in answer.text
