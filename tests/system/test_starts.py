"""The ways in which people start a retraining, on a real server and worker: each starts what it says, and no more.

And a worker that is killed with its run: the run is noticed and goes on, from what is finished, to a normal end.
"""

import os
import signal
import uuid
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from evergreen.drift.alert import EVENT
from evergreen.gate.decision import DecisionKind, Reason
from evergreen.operations.tend import tend
from evergreen.orchestrator.api import Refused
from evergreen.orchestrator.names import model_resource
from evergreen.registry.versions import Registry
from evergreen.stages.open import tracking_of
from evergreen.store.ledger import Ledger
from evergreen.store.turn import holder, take_turn
from tests.servers import wait_for

pytestmark = pytest.mark.slow

WAITING = ("SCHEDULED", "PENDING")


@pytest.fixture(scope="session")
def scheduled(site):
    """The run that a schedule has started, at its end; the schedule is switched off as soon as the run is there."""
    soon = datetime.now(UTC) + timedelta(seconds=3)
    # Whoever pauses and resumes a schedule in the UI has lost its parameters: here are none. It is due in a moment,
    # and not again before a machine that does many things at once has come to start the run.
    every = {"schedule": {"interval": 300, "anchor_date": soon.isoformat()}, "active": True, "slug": "often"}
    (made,) = site.api.send("POST", f"/deployments/{site.deployment_id}/schedules", [every])

    def fired():
        return next((run for run in site.runs() if run.state_type not in WAITING), None)

    run = wait_for(fired, seconds=280, pause_seconds=0.5)
    site.api.send("PATCH", f"/deployments/{site.deployment_id}/schedules/{made['id']}", {"active": False})
    return site.ended(run)


def test_a_schedule_fires_and_its_run_retrains_to_a_first_champion(site, scheduled):
    assert (scheduled.name, scheduled.parameters["model"]) == (f"{site.model}-manual: PROMOTE version 1", site.model)
    assert {"auto-scheduled", "evergreen", site.model, "PROMOTE"} <= set(scheduled.tags)
    entry = site.decision(scheduled)
    assert (entry.kind, entry.reason) == (DecisionKind.PROMOTE, Reason.SCHEDULED)
    assert entry.as_of == scheduled.expected_start_time
    assert [run.id for run in site.runs() if "auto-scheduled" in run.tags] == [scheduled.id], "it was switched off"


# Nothing in it asks the databases for what the schedule's run has not asked them for already.
@pytest.mark.parametrize("site", ["sqlite"], indirect=True)
def test_a_run_with_the_values_of_the_form_retrains(site, scheduled):
    as_of = scheduled.expected_start_time + timedelta(seconds=1)
    values = {"model": site.model, "reason": "manual", "as_of": as_of.isoformat(), "dry_run": False, "force": True}
    run = site.ended(site.api.create_run(site.deployment_id, values, str(uuid.uuid4())))
    entry = site.decision(run)
    # The data is that of the scheduled run: without force it would be a SKIP, as the twin was decided on.
    assert (entry.reason, entry.as_of, entry.kind) == (Reason.MANUAL, as_of, DecisionKind.PROMOTE), entry.reasons
    assert run.message.startswith(f"The {site.model} challenger")


# How turns are taken on PostgreSQL, the store's own tests show.
@pytest.mark.parametrize("site", ["sqlite"], indirect=True)
def test_a_run_that_meets_another_is_dropped_and_the_ledger_says_why(site, scheduled):
    before = site.champion
    with take_turn(site.settings.store_url, site.model, "the test", datetime.now(UTC)):
        run = site.ended(site.api.create_run(site.deployment_id, {"model": site.model}, str(uuid.uuid4())))
    assert run.name.endswith(": dropped")
    entry = site.decision(run)
    assert (entry.kind, entry.training_key) == (DecisionKind.SKIP, None)
    assert "the test" in entry.reasons[0]
    assert site.champion == before


def drift_event(site, number):
    payload = {"share": 0.25 + number / 100, "columns": ["waited", "plan"], "window_end": "2026-04-01T00:00:00Z"}
    return {
        "id": str(uuid.uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": EVENT,
        "resource": {"prefect.resource.id": model_resource(site.model)},
        "payload": {**payload, "severity": "critical", "sender": "test"},
    }


def test_ten_drift_events_in_a_burst_start_one_run_with_the_first_ones_payload_and_it_retrains(
    site, scheduled, today_table
):
    before = site.champion
    lately = today_table["at"] > today_table["at"].max() - pd.Timedelta(days=31)
    # Both of them, so that the labels stay true.
    moved = {name: today_table[name] + 0.8 * lately for name in ("waited", "spent")}
    today_table.assign(**moved).to_csv(site.table, index=False)

    def started():
        return [run for run in site.runs() if run.parameters.get("reason") == "drift"]

    events = [drift_event(site, number) for number in range(10)]
    site.api.post_events(events[:1])
    site.api.post_events(events)
    (first,) = wait_for(started, seconds=120, pause_seconds=0.5)
    run = site.ended(first)
    # What is not there by the time that the run has ended is not about to come.
    assert [one.id for one in started()] == [run.id]
    assert run.parameters["model"] == site.model
    assert run.parameters["alert"] == events[0]["payload"]
    assert isinstance(run.parameters["alert"]["share"], float)
    entry = site.decision(run)
    assert (entry.reason, entry.kind) == (Reason.DRIFT, DecisionKind.PROMOTE), entry.reasons
    assert site.champion == before + 1


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
def test_a_wrong_value_is_refused_before_a_run_is_created(site, values):
    before = {run.id for run in site.runs()}
    with pytest.raises(Refused) as refused:
        site.api.create_run(site.deployment_id, {"model": site.model, **values}, str(uuid.uuid4()))
    assert refused.value.status == 409
    assert {run.id for run in site.runs()} == before


def test_the_form_offers_models_reasons_and_says_what_each_field_is(site):
    schema = site.api.get(f"/deployments/{site.deployment_id}")["parameter_openapi_schema"]
    fields = schema["properties"]
    assert site.model in fields["model"]["enum"]
    assert fields["model"]["enum"] == sorted(path.stem for path in site.settings.configs.glob("*.yaml"))
    assert schema["definitions"]["Reason"]["enum"] == [reason.value for reason in Reason]
    assert {"type": "string", "format": "date-time"} in fields["as_of"]["anyOf"]
    assert [fields[name]["type"] for name in ("dry_run", "force")] == ["boolean", "boolean"]
    assert all(field.get("description") for field in fields.values())


def trials(settings):
    return {path: path.stat().st_mtime_ns for path in settings.work.rglob("trial-*.json")}


# How a dead run's turn is freed on PostgreSQL, the store's own tests show.
@pytest.mark.parametrize("site", ["sqlite"], indirect=True)
def test_a_run_that_is_killed_with_its_worker_is_noticed_and_goes_on_from_what_is_finished(site, patient):
    api, settings, before = site.api, site.settings, trials(site.settings)

    def own():
        return {path: at for path, at in trials(settings).items() if path not in before}

    deployment = api.deployment(f"retrain/{patient}")
    run = api.create_run(deployment.id, {"as_of": datetime.now(UTC).isoformat()}, str(uuid.uuid4()))
    finished = wait_for(lambda: own() or None, seconds=240)
    assert holder(settings.store_url, patient).holder == run.id

    for process in (site.workers[-1].pid, *(found.pid for found in site.living if found.flow_run == run.id)):
        os.kill(process, signal.SIGKILL)
    # The turn is free the instant that its process is gone; Prefect knows nothing yet.
    wait_for(lambda: holder(settings.store_url, patient) is None)
    assert api.flow_run(run.id).state_type == "RUNNING"
    finished |= own()
    site.hire()

    def look(**later):
        return tend(settings, api, datetime.now(UTC) + timedelta(**later), {})

    assert f"crashed: run {patient}-manual of {patient}: its process is gone" in look(minutes=2)
    assert f"crashed: run {patient}-manual of {patient} is tried once more" in look(minutes=2)
    ended = site.ended(run)
    assert ended.run_count == 2
    assert [entry.flow_run for entry in Ledger(settings.store_url).entries(patient)] == [run.id]
    assert Registry(tracking_of(settings)).champion_version(patient) == 1
    assert {path: at for path, at in own().items() if path in finished} == finished
    assert len(own()) == 5
    assert holder(settings.store_url, patient) is None
