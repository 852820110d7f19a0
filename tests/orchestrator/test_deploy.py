"""`evergreen deploy` against a real server: created once, followed when specs change, left asleep when paused."""

import subprocess
import sys

import pytest

from evergreen.orchestrator.deploy import DeploymentError
from evergreen.orchestrator.names import POOL

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def deployed(workspace):
    """Two models, deployed for the first time; what was said. Other files may have used the server before."""
    if workspace.api.pool(POOL):
        workspace.api.send("DELETE", f"/work_pools/{POOL}")
    workspace.write("ash")
    workspace.write("birch", schedule={"cron": "30 4 * * 2", "timezone": "Europe/Berlin", "active": False})
    return workspace, workspace.deploy()


def test_the_first_time_creates_everything_and_says_so(deployed):
    workspace, said = deployed
    assert "work pool evergreen: created, of type process" in said
    assert "retrain/ash: created, 0 6 * * 1 UTC" in said
    assert "automation evergreen: drift retrains ash: created" in said
    ash, birch = (workspace.api.deployment(f"retrain/{model}") for model in ("ash", "birch"))
    assert ash.work_pool == "evergreen"
    (weekly,) = ash.schedules
    assert (weekly.cron, weekly.timezone, weekly.active) == ("0 6 * * 1", "UTC", True)
    assert weekly.parameters == {"reason": "scheduled"}
    (asleep,) = birch.schedules
    assert (asleep.cron, asleep.timezone, asleep.active) == ("30 4 * * 2", "Europe/Berlin", False)


def test_doing_it_again_changes_nothing_and_wakes_nothing(deployed):
    workspace, _ = deployed
    api = workspace.api
    ash, birch = api.deployment("retrain/ash"), api.deployment("retrain/birch")
    api.send("PATCH", f"/deployments/{ash.id}/schedules/{ash.schedules[0].id}", {"active": False})
    api.post(f"/deployments/{birch.id}/pause_deployment")
    off = next(one for one in api.automations() if one.name == "evergreen: drift retrains birch")
    api.send("PATCH", f"/automations/{off.id}", {"enabled": False})
    workspace.deploy()
    before = workspace.state()
    said = workspace.deploy()
    assert workspace.state() == before
    assert "retrain/ash: is paused, and stays so" in said
    assert "automation evergreen: drift retrains birch: is switched off, and stays so" in said
    (schedule,) = api.deployment("retrain/ash").schedules
    assert not schedule.active
    assert api.deployment("retrain/birch").paused
    assert schedule.parameters == {"reason": "scheduled"}, "pausing in the UI forgets them"


def test_prefects_own_command_needs_no_answers_and_wakes_no_schedule(deployed):
    workspace, _ = deployed
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    options = {"cwd": workspace.folder, "env": workspace.environment, "stdin": subprocess.DEVNULL, "text": True}
    done = subprocess.run(command, **options, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (schedule,) = workspace.api.deployment("retrain/ash").schedules
    assert not schedule.active


@pytest.fixture(scope="module")
def followed(deployed):
    """A spec changed, one more, and another template: deployed at once, for each time takes its time."""
    workspace, _ = deployed
    workspace.write("ash", schedule={"cron": "15 5 * * 3"})
    workspace.write("cedar")
    template = workspace.folder / "deployments" / "automations" / "drift.yaml"
    template.write_text(template.read_text().replace("within: 60", "within: 90"))
    return workspace, workspace.deploy()


def test_a_spec_that_changes_is_followed_and_nothing_wakes(followed):
    workspace, said = followed
    (schedule,) = workspace.api.deployment("retrain/ash").schedules
    assert (schedule.cron, schedule.active) == ("15 5 * * 3", False)
    assert "retrain/ash: is paused, and stays so" in said


def test_a_template_that_changes_is_applied(followed):
    workspace, said = followed
    assert "automation evergreen: drift retrains ash: changed" in said
    triggers = [one.raw["trigger"] for one in workspace.api.automations() if one.name.endswith("drift retrains ash")]
    assert [trigger["within"] for trigger in triggers] == [90]


def test_a_spec_that_is_gone_takes_its_deployments_and_nothing_of_others(followed):
    workspace, _ = followed
    api = workspace.api
    flow = api.post("/flows/", name="somebody-elses")
    api.post("/deployments/", name="work", flow_id=flow["id"])
    neighbour = {"trigger": {"type": "event", "posture": "Reactive", "expect": ["x"], "threshold": 1, "within": 0}}
    api.post("/automations/", name="page the crew", actions=[{"type": "do-nothing"}], **neighbour)
    mine = next(one for one in api.automations() if one.name.endswith("drift retrains cedar"))
    for name in (mine.name, "evergreen: drift retrains ash"):
        original = next(one for one in api.automations() if one.name == name).raw
        again = {key: original[key] for key in ("name", "trigger", "actions")}
        api.send("POST", "/automations/", again)
    workspace.remove("cedar")
    said = workspace.deploy()
    assert "retrain/cedar: removed, as its spec or its flow is gone" in said
    assert said.count("automation evergreen: drift retrains cedar: removed, as its spec is gone") == 2
    assert "automation evergreen: drift retrains ash: removed, as stood there twice" in said
    assert api.deployment("retrain/cedar") is None
    assert api.deployment("somebody-elses/work") is not None
    names = [one.name for one in api.automations()]
    assert "page the crew" in names
    assert sorted(name for name in names if name.startswith("evergreen: ")) == [
        "evergreen: drift retrains ash",
        "evergreen: drift retrains birch",
        "evergreen: performance retrains ash",
        "evergreen: performance retrains birch",
    ]


def test_what_prefect_cannot_load_is_said_in_its_words(deployed):
    workspace, _ = deployed
    flow = workspace.folder / "flows" / "retrain.py"
    text = flow.read_text()
    flow.write_text("retrained = None\n")
    try:
        with pytest.raises(DeploymentError, match=r"^prefect deploy failed: .*'retrain'.*tells more"):
            workspace.deploy()
    finally:
        flow.write_text(text)
