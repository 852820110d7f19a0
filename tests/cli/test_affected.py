"""Which specs a change may give other models."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from evergreen.cli.affected import affected, affected_specs, changed_files
from evergreen.errors import UserError
from tests.project import tiny_spec

SPECS = ["churn", "flights", "houses"]


@pytest.mark.parametrize(
    ("changed", "specs"),
    [
        ([], []),
        (["README.md", "docs/gate.md", "tests/gate/test_judge.py", ".github/workflows/retrain.yml"], []),
        (["configs/churn.yaml"], ["churn"]),
        (["configs/houses.yaml", "configs/churn.yaml", "docs/gate.md"], ["churn", "houses"]),
        (["configs/removed.yaml"], []),
        (["src/evergreen/features/encode.py"], SPECS),
        (["flows/retrain.py"], SPECS),
        (["tasks/open_run.py"], SPECS),
        (["data/flights.sql"], SPECS),
        (["requirements/run.txt"], SPECS),
        (["requirements/dev.txt"], []),
        (["somewhere/src/else.py"], []),
    ],
)
def test_a_change_matters_to_the_specs_that_it_may_give_other_models(changed, specs):
    assert affected_specs(changed, SPECS) == specs


@pytest.fixture
def clone(tmp_path):
    def git(*words):
        identity = ["-c", "user.name=eva", "-c", "user.email=eva@example.com"]
        done = subprocess.run(["git", *identity, *words], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    git("init", "-q", "-b", "main")
    (tmp_path / "configs").mkdir()
    for spec in ("churn", "houses"):
        (tmp_path / "configs" / f"{spec}.yaml").write_text("model: x\n")
    git("add", ".")
    git("commit", "-qm", "first")
    return tmp_path, git


def test_what_others_did_meanwhile_is_not_ours(clone):
    folder, git = clone
    git("checkout", "-qb", "ours")
    (folder / "configs" / "churn.yaml").write_text("model: y\n")
    git("commit", "-qam", "ours")
    git("checkout", "-q", "main")
    (folder / "configs" / "houses.yaml").write_text("model: z\n")
    git("commit", "-qam", "theirs")
    git("checkout", "-q", "ours")
    assert changed_files("main", folder) == ["configs/churn.yaml"]


def test_a_renamed_spec_is_a_new_one(clone):
    folder, git = clone
    before = git("rev-parse", "HEAD")
    git("mv", "configs/churn.yaml", "configs/leavers.yaml")
    git("commit", "-qm", "renamed")
    assert affected_specs(changed_files(before, folder), ["houses", "leavers"]) == ["leavers"]


def test_a_commit_that_is_not_there_is_one_message(clone):
    folder, _ = clone
    with pytest.raises(UserError, match="--since 0123abc: git cannot compare"):
        changed_files("0123abc", folder)


@pytest.fixture
def specs(clone, monkeypatch):
    folder, git = clone
    for spec, active in (("churn", True), ("houses", False)):
        values = {**tiny_spec(spec), "schedule": {"active": active}}
        (folder / "configs" / f"{spec}.yaml").write_text(yaml.safe_dump(values))
    git("commit", "-qam", "specs")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("EVERGREEN_CONFIGS", raising=False)
    return git("rev-parse", "HEAD~1"), git("rev-parse", "HEAD")


def test_the_command_answers_with_json_and_leaves_out_what_is_not_retrained_by_itself(specs, capsys):
    before, now = specs
    for since in (None, before, now):
        affected(since)
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [["churn"], ["churn"], []]


def test_a_spec_that_is_none_is_an_error_and_not_left_out(specs):
    Path("configs/maples.yaml").write_text("model: maples\n")
    with pytest.raises(UserError, match="maples"):
        affected(None)
