"""prefect.yaml follows from the specs."""

from pathlib import Path

import pytest
import yaml

from evergreen.drift.alert import EVENT
from evergreen.errors import SpecError, UserError
from evergreen.operations.channels import DEGRADED
from evergreen.orchestrator.answers import Deployment, Schedule
from evergreen.orchestrator.automations import wanted_automations
from evergreen.orchestrator.deploy import keep_asleep, write_manifest
from evergreen.orchestrator.form import spec_names
from evergreen.orchestrator.manifest import FILE, MEND, is_in_step, render, to_text
from evergreen.orchestrator.names import RETRAINS, automation, model_resource, retrain_deployment
from evergreen.orchestrator.plan import FLOWS, SLUG, FlowPlan, plan, read_specs
from evergreen.orchestrator.project import find_project
from evergreen.spec import ModelSpec, load_spec

REPOSITORY = Path(__file__).parents[2]
CONFIGS = REPOSITORY / "configs"


def test_prefect_yaml_is_in_step_with_the_specs():
    assert is_in_step(REPOSITORY, CONFIGS), f"{FILE} does not say what configs/ asks for; mend it with: {MEND}"


def test_every_spec_of_the_repository_is_deployed_as_it_says():
    deployments = yaml.safe_load((REPOSITORY / FILE).read_text())["deployments"]
    retrain = {one["name"]: one for one in deployments if one["entrypoint"] == "flows/retrain.py:retrain"}
    specs = {name: load_spec(CONFIGS / f"{name}.yaml") for name in spec_names(CONFIGS)}
    assert retrain.keys() == {spec.model for spec in specs.values()}
    for name, spec in specs.items():
        one = retrain[spec.model]
        assert one["parameters"] == {"model": name}
        assert one["work_pool"] == {"name": "evergreen"}
        (schedule,) = one["schedules"]
        assert (schedule["cron"], schedule["timezone"]) == (spec.schedule.cron, spec.schedule.timezone)
        assert schedule["parameters"] == {"reason": "scheduled"}
        assert "slug" in schedule


@pytest.fixture
def tiny(small_spec):
    return lambda **changes: ModelSpec.model_validate({**small_spec("tiny"), **changes})


def test_what_is_true_of_every_text(tiny):
    flows = (FlowPlan("retrain", "Retrains {model}.", scheduled="schedule"), FlowPlan("score", "Scores {model}."))
    specs = {
        "one": tiny(model="no", description='says "{{ more }}": a # lot'),
        "two": tiny(model="two", schedule={"active": False, "cron": "*/5 * * * *"}),
    }
    text = to_text(flows, plan(specs, flows))
    deployments = yaml.safe_load(text)["deployments"]
    assert [(one["entrypoint"], one["name"]) for one in deployments] == [
        (f"flows/{flow}.py:{flow}", model) for model in ("no", "two") for flow in ("retrain", "score")
    ]
    assert deployments[0]["description"] == 'Retrains no. says "{ more }": a # lot'
    assert ["schedules" in one for one in deployments] == [True, False, True, False]
    # Only what is off is said: whatever says that it is on wakes what a person paused.
    assert "active" not in deployments[0]["schedules"][0]
    assert deployments[2]["schedules"][0]["active"] is False
    assert text.count("entrypoint:") == 2, "said once a flow, and referred to"
    assert str(REPOSITORY) not in text


@pytest.mark.parametrize(("paused", "active"), [(True, True), (False, False), (True, False), (False, True)])
def test_what_is_asleep_is_said_to_be_before_prefect_looks(tiny, paused, active):
    flows = (FlowPlan("retrain", "Retrains {model}.", scheduled="schedule"), FlowPlan("rollback", "Goes back."))
    planned = plan({"tiny": tiny()}, flows)
    schedule = Schedule("1", SLUG, active, "0 6 * * 1", "UTC", {})
    known = Deployment("4711", "retrain/tiny", paused, {}, (schedule,), "READY", "evergreen")
    text = to_text(flows, keep_asleep(planned, {known.name: known}))
    retrain, rollback = yaml.safe_load(text)["deployments"]
    assert retrain.get("paused", False) is paused
    assert retrain["schedules"][0].get("active", True) is active
    assert "paused" not in rollback, "nobody knew it before"
    assert text == to_text(flows, planned) or paused or not active


def test_a_flow_that_is_for_all_models_is_deployed_once(tiny):
    flows = (FlowPlan("approve", "Answers.", per_model=False),)
    (one,) = plan({"a": tiny(model="a"), "b": tiny(model="b")}, flows)
    assert (one.full_name, one.parameters) == ("approve/approve", {})


def test_a_flow_that_is_not_there_is_passed_over(tmp_path, small_spec):
    (tmp_path / "flows").mkdir()
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "tiny.yaml").write_text(yaml.safe_dump(small_spec("tiny")))
    (tmp_path / "flows" / f"{FLOWS[0].name}.py").write_text("")
    deployments = yaml.safe_load(render(tmp_path, tmp_path / "configs"))["deployments"]
    assert [one["entrypoint"] for one in deployments] == [f"flows/{FLOWS[0].name}.py:{FLOWS[0].name}"]


def test_a_spec_more_is_a_deployment_more_by_one_command(tmp_path, evergreen_in, small_spec):
    evergreen = evergreen_in(tmp_path)
    (tmp_path / "configs" / "first.yaml").write_text(yaml.safe_dump(small_spec("first")))
    assert "written" in evergreen("deploy", "--write").out
    assert evergreen("deploy", "--check").code == 0
    (tmp_path / "configs" / "second.yaml").write_text(yaml.safe_dump(small_spec("second")))
    answer = evergreen("deploy", "--check")
    assert answer.code == 1
    assert f"mend it with: {MEND}" in answer.out
    assert "written" in evergreen("deploy", "--write").out
    assert "was in step" in evergreen("deploy", "--write").out
    names = [one["name"] for one in yaml.safe_load((tmp_path / FILE).read_text())["deployments"]]
    assert {"first", "second"} <= set(names)


def test_two_specs_of_one_model_are_refused(tmp_path, small_spec):
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(small_spec("churn")))
    with pytest.raises(SpecError, match=r"b\.yaml: keeps the model churn, as a\.yaml does"):
        read_specs(tmp_path)


def test_a_file_that_cannot_be_written_is_a_mistake_that_is_named(tmp_path, small_spec):
    (tmp_path / "configs").mkdir()
    (tmp_path / FILE).mkdir()
    with pytest.raises(UserError, match=r"is not in step with .* and cannot be written"):
        write_manifest(tmp_path, tmp_path / "configs")


def test_a_worker_finds_the_project(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    here, named = tmp_path / "here", tmp_path / "named"
    for place in (here, named):
        (place / "flows").mkdir(parents=True)
        (place / "flows" / "retrain.py").write_text("")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert find_project({"EVERGREEN_PROJECT": str(named), "PWD": str(here)}, here) == named
    assert find_project({"EVERGREEN_PROJECT": "~/named"}, here) == named, "as a shell would have it"
    assert find_project({}, here) == here
    assert find_project({"PWD": str(here)}, elsewhere) == here
    assert find_project({}, elsewhere) == REPOSITORY, "the checkout that it runs from"
    with pytest.raises(UserError, match="set EVERGREEN_PROJECT on the worker"):
        find_project({"EVERGREEN_PROJECT": str(elsewhere)}, here)


@pytest.fixture
def one_deployed(tiny):
    name = retrain_deployment("tiny")
    return {"tiny": tiny()}, {name: Deployment("4711", name, False, {}, (), "READY", "evergreen")}


@pytest.mark.parametrize(("reason", "event"), [("drift", EVENT), ("performance", DEGRADED)])
def test_an_automation_waits_for_the_event_that_alerts_are(one_deployed, reason, event):
    wanted = wanted_automations(REPOSITORY, *one_deployed)
    assert wanted.keys() == {automation(each, "tiny") for each in RETRAINS}
    one = wanted[automation(reason, "tiny")]
    trigger, (action,) = one["trigger"], one["actions"]
    assert trigger["expect"] == [event]
    assert trigger["match"] == {"prefect.resource.id": model_resource("tiny")}
    assert action["deployment_id"] == "4711"
    assert {key: action["parameters"][key] for key in ("model", "reason")} == {"model": "tiny", "reason": reason}


def test_monitoring_is_scheduled_by_rules_of_its_own(tiny):
    specs = {"a": tiny(monitoring={"cron": "*/20 * * * *", "timezone": "Europe/Berlin"})}
    planned = {one.flow.name: one for one in plan(specs, FLOWS)}
    slug = {"slug": SLUG}
    assert planned["monitor"].schedule == {**slug, "cron": "*/20 * * * *", "timezone": "Europe/Berlin"}
    assert planned["retrain"].schedule["cron"] == "0 6 * * 1"
    asleep = {"a": tiny(monitoring={"active": False})}
    (monitor,) = [one for one in plan(asleep, FLOWS) if one.flow.name == "monitor"]
    assert monitor.schedule["active"] is False


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: ${automation}\ndescription: ${nothing}\n", "'nothing' cannot be filled in; there are: automation"),
        ("name: mine\n", r"called \$\{automation\}"),
        ("name: [\n", "is not valid YAML"),
    ],
)
def test_a_template_that_cannot_be_used_is_named(tmp_path, one_deployed, text, message):
    (tmp_path / "deployments" / "automations").mkdir(parents=True)
    (tmp_path / "deployments" / "automations" / "odd.yaml").write_text(text)
    with pytest.raises(UserError, match=rf"odd\.yaml: .*{message}"):
        wanted_automations(tmp_path, *one_deployed)


def test_templates_that_are_gone_are_no_wish_for_nothing(tmp_path, one_deployed):
    with pytest.raises(UserError, match="is missing"):
        wanted_automations(tmp_path, *one_deployed)
