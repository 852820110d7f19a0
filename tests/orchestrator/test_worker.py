"""A real server and a real worker: a form's values, a schedule and a drift event each start a run."""

import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from evergreen.drift.alert import EVENT
from evergreen.gate.decision import DecisionKind, Reason
from evergreen.orchestrator.api import Refused
from evergreen.orchestrator.names import model_resource, retrain_deployment
from evergreen.registry.versions import Registry
from evergreen.settings import Settings
from evergreen.stages.open import tracking_of
from evergreen.store.ledger import Ledger
from evergreen.store.turn import take_turn
from tests.servers import stop, wait_for

pytestmark = pytest.mark.slow

MODEL = "oak"
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


@pytest.fixture(scope="module")
def site(workspace, shopper_table):
    """The workspace with a model and its table, deployed."""
    workspace.write(MODEL, schedule={"active": False})
    shopper_table().to_csv(workspace.folder / "table.csv", index=False)
    workspace.deploy()
    return workspace


@pytest.fixture(scope="module")
def deployment(site):
    return site.api.deployment(retrain_deployment(MODEL))


@pytest.fixture(scope="module")
def settings(site):
    return Settings.from_environment(site.environment)


@pytest.fixture(scope="module")
def worker(site, tmp_path_factory):
    """A worker that was started in another folder than the project's."""
    folder = tmp_path_factory.mktemp("worker")
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "evergreen", "--type", "process"]
    environment = {**site.environment, "PREFECT_WORKER_QUERY_SECONDS": "1"}
    with (folder / "log").open("w") as log:
        running = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    yield running
    stop(running)


def ended(api, run_id):
    run = api.flow_run(run_id)
    return run if run.state_type in ENDED else None


@contextmanager
def turn_taken(settings):
    """A run that meets another is dropped before it does anything that takes long."""
    Ledger(settings.store_url).prepare()
    with take_turn(settings.store_url, MODEL, "the test", datetime.now(UTC)):
        yield


@pytest.mark.usefixtures("worker")
def test_a_run_with_the_values_of_the_form_ends_with_a_champion(site, deployment, settings, first_moment):
    values = {"model": MODEL, "reason": "manual", "as_of": first_moment.isoformat(), "dry_run": False, "force": False}
    started = site.api.create_run(deployment.id, values, str(uuid.uuid4()))
    run = wait_for(lambda: ended(site.api, started.id), seconds=300)
    assert (run.state_type, run.name) == ("COMPLETED", f"{MODEL}-manual: PROMOTE version 1"), run.message
    assert run.message.startswith(f"The {MODEL} challenger may become the first champion")
    assert {"evergreen", MODEL, "PROMOTE"} <= set(run.tags)
    (entry,) = Ledger(settings.store_url).entries(MODEL)
    assert (entry.flow_run, entry.kind) == (run.id, DecisionKind.PROMOTE)
    assert Registry(tracking_of(settings)).champion_version(MODEL) == 1


@pytest.mark.usefixtures("worker")
def test_a_schedule_that_lost_its_parameters_still_starts_a_scheduled_run(site, deployment, settings):
    every = {"schedule": {"interval": 20}, "active": True, "slug": "often"}
    with turn_taken(settings):
        (made,) = site.api.send("POST", f"/deployments/{deployment.id}/schedules", [every])
        due = wait_for(lambda: site.api.flow_runs(deployment_ids=[deployment.id], states=["COMPLETED"]), seconds=1)
        known = {run.id for run in due}

        def fired():
            runs = site.api.flow_runs(deployment_ids=[deployment.id], states=list(ENDED))
            return next((run for run in runs if run.id not in known), None)

        run = wait_for(fired, seconds=180)
        site.api.send("DELETE", f"/deployments/{deployment.id}/schedules/{made['id']}")
    assert run.state_type == "COMPLETED", run.message
    assert "auto-scheduled" in run.tags
    assert run.name.endswith(": dropped")
    entry = next(e for e in Ledger(settings.store_url).entries(MODEL) if e.flow_run == run.id)
    assert entry.reason is Reason.SCHEDULED
    assert "the test" in run.message


@pytest.mark.usefixtures("worker")
def test_ten_drift_events_in_a_burst_start_one_run_with_the_first_ones_payload(site, deployment, settings):
    def event(number):
        payload = {"share": 0.25 + number / 100, "columns": ["waited", "plan"], "window_end": "2026-04-01T00:00:00Z"}
        return {
            "id": str(uuid.uuid4()),
            "occurred": datetime.now(UTC).isoformat(),
            "event": EVENT,
            "resource": {"prefect.resource.id": model_resource(MODEL)},
            "payload": {**payload, "severity": "critical", "sender": "test"},
        }

    def started():
        runs = site.api.flow_runs(deployment_ids=[deployment.id])
        return [run for run in runs if run.parameters.get("reason") == "drift"]

    events = [event(number) for number in range(10)]
    with turn_taken(settings):
        site.api.post_events(events[:1])
        site.api.post_events(events)
        (first,) = wait_for(started, seconds=60)
        run = wait_for(lambda: ended(site.api, first.id), seconds=180)
        # What is not there a while after the run has ended is not about to come.
        time.sleep(3)
        assert [one.id for one in started()] == [run.id]
    assert run.state_type == "COMPLETED", run.message
    assert run.parameters["model"] == MODEL
    assert run.parameters["alert"] == events[0]["payload"]
    assert isinstance(run.parameters["alert"]["share"], float)


WRONG = {
    "a model without a spec": {"model": "nobody"},
    "no model": {"model": ""},
    "a reason that is none": {"reason": "boredom"},
    "a flag that is none": {"dry_run": "perhaps"},
    "a number for a flag": {"force": 3},
    "a number for a moment": {"as_of": 20260401},
    "a share over one": {"alert": {"share": 1.5}},
    "a share in words": {"alert": {"share": "high"}},
    "an alert without its share": {"alert": {"columns": ["plan"]}},
    "a severity that is none": {"alert": {"share": 0.5, "severity": "odd"}},
}


@pytest.mark.parametrize("values", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_value_is_refused_before_a_run_is_created(site, deployment, values):
    before = len(site.api.flow_runs(deployment_ids=[deployment.id]))
    with pytest.raises(Refused) as refused:
        site.api.create_run(deployment.id, {"model": MODEL, **values}, str(uuid.uuid4()))
    assert refused.value.status == 409
    assert len(site.api.flow_runs(deployment_ids=[deployment.id])) == before


def test_the_form_offers_models_reasons_and_says_what_each_field_is(site, deployment):
    schema = site.api.get(f"/deployments/{deployment.id}")["parameter_openapi_schema"]
    fields = schema["properties"]
    assert fields["model"]["enum"] == [MODEL]
    assert schema["definitions"]["Reason"]["enum"] == [reason.value for reason in Reason]
    assert {"type": "string", "format": "date-time"} in fields["as_of"]["anyOf"]
    assert [fields[name]["type"] for name in ("dry_run", "force")] == ["boolean", "boolean"]
    assert all(field.get("description") for field in fields.values())
