"""Which commit a run is made with: of the checkout, or what an image was told when it was built."""

import subprocess

import pytest

from evergreen.stages.commit import find_commit


@pytest.fixture
def checkout(tmp_path):
    git = ["git", "-c", "user.name=eva", "-c", "user.email=eva@example.com"]
    subprocess.run([*git, "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], cwd=tmp_path, check=True)
    return tmp_path


@pytest.mark.parametrize(
    ("told", "commit"), [({"EVERGREEN_COMMIT": "0123abc"}, "0123abc"), ({"EVERGREEN_COMMIT": ""}, None), ({}, None)]
)
def test_outside_a_checkout_it_is_what_the_environment_says(tmp_path, monkeypatch, told, commit):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert find_commit(tmp_path, told) == commit


def test_a_checkout_knows_better(checkout):
    found = find_commit(checkout, {"EVERGREEN_COMMIT": "0123abc"})
    assert found is not None
    assert len(found) == 40
