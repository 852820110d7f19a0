"""`evergreen reproduce` takes the code that trained a version from git where it is not the code that is here."""

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


def evergreen(folder, project, *arguments):
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder / "src"),
        "EVERGREEN_HOME": str(project.settings.home),
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
    done = evergreen(folder, crowned)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every answer on the holdout is the same" in done.stdout
    assert "the code is not the one" not in done.stdout
    left = subprocess.run(["git", "worktree", "list"], cwd=folder, capture_output=True, text=True, check=True)
    assert len(left.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("commit", "why"),
    [("", "outside a git checkout"), ("0" * 40, "cannot be had"), ("1" * 40 + "-dirty", "changes on top")],
)
def test_code_that_nobody_has_is_said_so(crowned, checkout, commit, why):
    set_commit(crowned, commit)
    done = evergreen(checkout[0], crowned)
    assert done.returncode == 2
    assert why in done.stderr
    assert "--this-code" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_this_code_says_that_it_is_not_the_one(crowned, checkout):
    done = evergreen(checkout[0], crowned, "--this-code")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the code is not the one that trained this version" in done.stdout
