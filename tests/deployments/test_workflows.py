"""Workflows without GitHub: its schema, permissions, pins, and that a gate is one whatever happens before it."""

import re
import subprocess
import sys

import pytest
import yaml

from tests.deployments.shipped import REPOSITORY, WORKFLOWS, stages


def load(path):
    # YAML 1.1 reads the key `on` as true.
    return {("on" if key is True else key): value for key, value in yaml.safe_load(path.read_text()).items()}


LOADED = {path.stem: load(path) for path in WORKFLOWS}


def holds(schema, path):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else None


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_is_what_github_says(path):
    assert holds("vendor.github-workflows", path) is None
    assert holds("custom.github-workflows-require-timeout", path) is None


def test_the_updates_are_what_github_says():
    assert holds("vendor.dependabot", REPOSITORY / ".github" / "dependabot.yml") is None


@pytest.mark.parametrize("name", sorted(LOADED))
def test_a_workflow_may_read_and_says_so_where_it_may_more(name):
    workflow = LOADED[name]
    assert workflow["permissions"] == {"contents": "read"}
    more = {job: part["permissions"] for job, part in workflow["jobs"].items() if "permissions" in part}
    assert more == ({"gate": {"contents": "read", "pull-requests": "write"}} if name == "retrain" else {})


def test_a_job_that_may_write_runs_no_code_of_the_proposed_change():
    steps = LOADED["retrain"]["jobs"]["gate"]["steps"]
    assert not [step for step in steps if "checkout" in step.get("uses", "")]
    assert "pull_request_target" not in LOADED["retrain"]["on"]


def test_actions_are_githubs_own_and_of_one_version_everywhere():
    used = {use for path in WORKFLOWS for use in re.findall(r"uses: (\S+)", path.read_text())}
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", use) for use in used)
    assert len({use.partition("@")[0] for use in used}) == len(used)


def test_nothing_that_others_write_becomes_part_of_a_script():
    for workflow in LOADED.values():
        scripts = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
        found = [text for script in scripts for text in re.findall(r"\$\{\{(.*?)\}\}", script)]
        assert [text for text in found if not text.strip().startswith("matrix.python")] == []


def test_no_push_is_dropped_for_a_later_one():
    # GitHub keeps the newest of those that wait in a group, and cancels the others unseen.
    group = LOADED["retrain"]["concurrency"]["group"]
    assert re.fullmatch(r"retrain-\$\{\{ github\.event_name == 'push' && github\.sha \|\| github\.ref \}\}", group)


def test_the_gate_always_speaks():
    gate = LOADED["retrain"]["jobs"]["gate"]
    # Skipped or filtered by path it would leave a pull request waiting for a check that never comes.
    assert gate["if"] == "always()"
    assert "paths" not in (LOADED["retrain"]["on"]["pull_request"] or {})
    assert set(gate["needs"]) == {"affected", "retrain"}


@pytest.mark.parametrize(
    ("affected", "retrained", "passes"),
    [
        ("success", "success", True),
        ("success", "skipped", True),
        ("success", "failure", False),
        ("success", "cancelled", False),
        ("failure", "skipped", False),
        ("cancelled", "skipped", False),
    ],
)
def test_the_gate_passes_what_was_retrained_or_had_nothing_to_retrain(affected, retrained, passes):
    (step,) = [
        step
        for step in LOADED["retrain"]["jobs"]["gate"]["steps"]
        if step["name" if "name" in step else "uses"] == "The gate"
    ]
    done = subprocess.run(
        ["bash", "-e", "-c", step["run"]],
        env={"AFFECTED": affected, "RETRAINED": retrained, "PATH": "/usr/bin:/bin"},
        check=False,
    )
    assert (done.returncode == 0) is passes


def test_a_proposed_change_promotes_nothing():
    (step,) = [
        s for s in LOADED["retrain"]["jobs"]["retrain"]["steps"] if s.get("name") == "Retrain, compare and decide"
    ]
    condition = re.fullmatch(r"\$\{\{ (.*) && '--dry-run' \|\| '' \}\}", step["env"]["MODE"])[1]
    assert condition == "(github.event_name == 'pull_request' || vars.EVERGREEN_PROMOTE != 'true')"


def test_every_image_that_is_built_is_tried():
    text = (REPOSITORY / ".github" / "workflows" / "tests.yml").read_text()
    tried = re.search(r"for target in (.*); do", text)[1].split()
    assert tried == [
        name for name in ("prefect", "mlflow", "serving", "worker", "kubernetes-worker") if name in stages()
    ]


def test_python_is_the_one_of_the_images_and_a_newer_one():
    tried = LOADED["tests"]["jobs"]["check"]["strategy"]["matrix"]["python"]
    assert tried[0] == re.search(r"python:(3\.\d+)", stages()["base"].image)[1]
    assert [version.split(".")[0] for version in tried] == ["3"] * len(tried)


def test_the_secrets_of_a_try_are_made_on_the_spot():
    (step,) = [
        s for s in LOADED["tests"]["jobs"]["images"]["steps"] if s.get("name", "").startswith("Start what compose")
    ]
    script = step["run"].split("docker compose")[0].replace("> deployments/.env", "")
    done = subprocess.run(["bash", "-e", "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    made = dict(line.split("=", 1) for line in done.stdout.splitlines() if re.match(r"\w+=", line))
    assert all(made.values()), made
    assert re.fullmatch(r"ci:[0-9a-f]{48}", made["PREFECT_AUTH"])
    assert len(set(made.values())) == len(made)
