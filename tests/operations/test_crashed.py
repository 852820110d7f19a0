"""Runs whose process is gone are found by their turn, tried once more, and told if that fails too.

On a real server, where the states of runs are set as an engine and a worker would set them.
"""

import json
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from evergreen.errors import UnavailableError
from evergreen.operations.crashed import Patience, Watch, look_after_runs, without_secrets
from evergreen.orchestrator.api import PrefectApi
from evergreen.orchestrator.names import TAG
from evergreen.store.facts import FactKind
from evergreen.store.outbox import began_key
from evergreen.store.turn import take_turn

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[2]
NUMBERS = count(1)
QUICK = Patience(end=timedelta(0))


@dataclass
class Deployed:
    """A deployment of a flow called retrain, and passes over its runs."""

    api: object
    home: object
    model: str
    id: str

    def run(self, *states, **parameters):
        """A run that went through some states."""
        run = self.api.create_run(self.id, {"model": self.model, **parameters}, f"{self.model}-{next(NUMBERS)}")
        for state in states:
            self.set(run, state)
        return run

    def set(self, run, state, message=""):
        self.api.set_state(run.id, state, message=message)

    def state(self, run):
        found = self.api.flow_run(run.id)
        return found.state_type, found.state_name

    def look(self, **later):
        """What a pass does that comes so much later than now."""
        now = datetime.now(UTC) + timedelta(**later)
        lines = look_after_runs(Watch(self.api, self.home.settings, now, "http://ui", QUICK))
        return [line for line in lines if f" {self.model}" in line]

    def begin(self, *states, **parameters):
        """A run that took its turn in the store, as runs do."""
        run = self.run(*states, **parameters)
        self.home.fact(began_key(run.id), FactKind.NOTE, model=self.model)
        return run

    def tag(self, run, *tags):
        self.api.send("PATCH", f"/flow_runs/{run.id}", {"tags": list(tags)})

    def turn(self, run):
        return take_turn(self.home.settings.store_url, self.model, run.id, datetime.now(UTC))


@pytest.fixture
def deployed(home, prefect_server):
    api, model = prefect_server.api, f"model{next(NUMBERS)}"
    flow = api.post("/flows/", name="retrain")
    deployment = api.post("/deployments/", name=model, flow_id=flow["id"], tags=[TAG])
    yield Deployed(api, home, model, deployment["id"])
    api.send("DELETE", f"/deployments/{deployment['id']}")


def test_a_run_that_holds_its_turn_lives_however_long_it_takes(deployed):
    run = deployed.begin("PENDING", "RUNNING")
    with deployed.turn(run):
        assert deployed.look(hours=9) == []
    assert deployed.state(run)[0] == "RUNNING"


def test_a_run_that_has_just_started_is_given_time_to_take_its_turn(deployed):
    run = deployed.begin("PENDING", "RUNNING")
    assert deployed.look(seconds=60) == []
    assert deployed.state(run)[0] == "RUNNING"


@pytest.mark.parametrize("others", [False, True], ids=["nobody has the turn", "another run has it"])
def test_a_run_without_its_turn_is_dead(deployed, others):
    run, other = deployed.begin("PENDING", "RUNNING"), deployed.run()
    with deployed.turn(other) if others else nullcontext():
        lines = deployed.look(minutes=2)
    assert lines == [f"crashed: run {run.name} of {deployed.model}: its process is gone"]
    assert deployed.state(run)[0] == "CRASHED"


def test_a_run_that_ends_while_it_is_looked_at_is_left_alone(deployed, monkeypatch):
    run = deployed.begin("PENDING", "RUNNING")
    monkeypatch.setattr("time.sleep", lambda seconds: deployed.set(run, "COMPLETED"))
    assert deployed.look(minutes=2) == []
    assert deployed.state(run)[0] == "COMPLETED"


def test_a_run_that_was_handed_over_and_never_started_is_dead_after_twenty_minutes(deployed):
    run = deployed.run("PENDING")
    assert deployed.look(minutes=19) == []
    assert deployed.look(minutes=21) == [f"crashed: run {run.name} of {deployed.model}: never started"]


def test_a_dead_run_is_tried_once_more_and_then_told(deployed):
    run = deployed.begin("PENDING", "RUNNING")
    deployed.look(minutes=2)
    assert deployed.look(seconds=30) == [], "its worker may still report it, and undo a retry"
    assert deployed.look(minutes=2) == [f"crashed: run {run.name} of {deployed.model} is tried once more"]
    assert deployed.state(run) == ("SCHEDULED", "AwaitingRetry")

    for state in ("PENDING", "RUNNING"):
        deployed.set(run, state)
    assert deployed.api.flow_run(run.id).run_count == 2
    deployed.look(minutes=2)
    [line] = deployed.look(minutes=2)
    assert line.startswith(f"failed: run {run.name} of {deployed.model}: ")
    assert deployed.look(minutes=3) == []

    fact = deployed.home.outbox.known(f"flow_run:{run.id}")
    assert (fact.kind, fact.model) == (FactKind.FAILED, deployed.model)
    assert fact.payload["tries"] == 2
    assert fact.payload["message"] == "Evergreen: its process is gone"
    assert fact.payload["link"] == f"http://ui/runs/flow-run/{run.id}"


def test_what_a_worker_found_dead_is_tried_once_more_too(deployed):
    run = deployed.begin("PENDING", "RUNNING", "CRASHED")
    assert deployed.look(minutes=2) == [f"crashed: run {run.name} of {deployed.model} is tried once more"]


def test_a_retry_waits_for_the_turn(deployed):
    run, other = deployed.begin("PENDING", "RUNNING", "CRASHED"), deployed.run()
    with deployed.turn(other):
        assert deployed.look(minutes=2) == []
    assert deployed.look(minutes=2) == [f"crashed: run {run.name} of {deployed.model} is tried once more"]


def test_what_a_later_run_has_done_is_not_done_again_and_that_is_told(deployed):
    dead = deployed.begin("PENDING", "RUNNING", "CRASHED")
    later = deployed.begin("PENDING", "RUNNING")
    with deployed.turn(later):
        assert deployed.look(minutes=2) == [], "it may yet find nothing to do"
    deployed.set(later, "COMPLETED")
    [line] = deployed.look(minutes=2)
    assert line.startswith(f"failed: run {dead.name} of {deployed.model}: ")
    assert line.endswith("; a later run has done its work")
    assert deployed.look(hours=30) == []
    assert deployed.state(dead)[0] == "CRASHED"


@pytest.mark.parametrize("tag", ["dropped", "SKIP"])
def test_a_later_run_that_trained_nothing_has_not_done_it(deployed, tag):
    dead = deployed.begin("PENDING", "RUNNING", "CRASHED")
    deployed.tag(deployed.begin("PENDING", "RUNNING", "COMPLETED"), deployed.model, tag)
    assert deployed.look(minutes=2) == [f"crashed: run {dead.name} of {deployed.model} is tried once more"]


def test_a_run_that_came_later_and_ended_before_the_crash_has_done_it_too(deployed):
    dead = deployed.begin("PENDING", "RUNNING")
    deployed.begin("PENDING", "RUNNING", "COMPLETED")
    deployed.set(dead, "CRASHED")
    [line] = deployed.look(minutes=2)
    assert line.endswith("; a later run has done its work")


def test_a_run_that_died_again_is_told_whatever_others_do(deployed):
    dead = deployed.begin("PENDING", "RUNNING", "CRASHED")
    deployed.look(minutes=2)
    for state in ("PENDING", "RUNNING", "CRASHED"):
        deployed.set(dead, state)
    with deployed.turn(deployed.begin("PENDING", "RUNNING")):
        [line] = deployed.look(minutes=2)
    assert line.startswith(f"failed: run {dead.name} of {deployed.model}: ")


def test_the_runs_of_another_store_are_left_alone_and_that_is_said_once(deployed):
    living = deployed.run("PENDING", "RUNNING")
    assert deployed.look(minutes=2) == []
    [line] = deployed.look(hours=9)
    assert "has taken no turn in this store and is left alone" in line
    assert deployed.look(hours=10) == []
    assert deployed.state(living)[0] == "RUNNING"


def test_a_run_that_died_before_it_took_its_turn_is_known_by_those_before_it(deployed):
    deployed.begin("PENDING", "RUNNING", "COMPLETED")
    run = deployed.run("PENDING", "RUNNING")
    assert deployed.look(minutes=19) == []
    assert deployed.look(minutes=21) == [f"crashed: run {run.name} of {deployed.model}: its process is gone"]


def test_a_dead_run_of_another_store_is_told_and_not_tried_here(deployed):
    run = deployed.run("PENDING", "RUNNING", "CRASHED")
    [line] = deployed.look(minutes=2)
    assert line.startswith("failed: ")
    assert deployed.state(run)[0] == "CRASHED"


def test_deployments_of_others_are_none_of_our_business_whatever_they_are_called(deployed):
    deployed.api.send("PATCH", f"/deployments/{deployed.id}", {"tags": ["theirs"]})
    run = deployed.begin("PENDING", "RUNNING")
    deployed.begin("PENDING", "RUNNING", "FAILED")
    assert deployed.look(hours=2) == []
    assert deployed.state(run)[0] == "RUNNING"


def test_a_failure_is_told_however_long_ago_the_run_was_due(deployed):
    due = (datetime.now(UTC) - timedelta(days=9)).isoformat()
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": due}}
    made = deployed.api.post(f"/deployments/{deployed.id}/create_flow_run", state=state, parameters={})
    run = deployed.api.flow_run(made["id"])
    assert datetime.now(UTC) - run.expected_start_time > timedelta(days=8)
    for name in ("PENDING", "RUNNING", "FAILED"):
        deployed.set(run, name)
    [line] = deployed.look()
    assert line.startswith(f"failed: run {run.name} of {deployed.model}: ")
    assert deployed.look(days=4) == []


def test_what_drivers_say_is_told_without_passwords(deployed):
    run = deployed.begin("PENDING", "RUNNING")
    deployed.set(
        run, "FAILED", "no route to postgresql://kim:letmein@db:5432/shop and https://x.org/?token=s3cret2&b=1"
    )
    [line] = deployed.look()
    assert line.endswith("no route to postgresql://kim:***@db:5432/shop and https://x.org/?token=***&b=1")


def test_known_addresses_are_told_without_passwords_in_any_form(home, monday):
    settings = replace(home.settings, store_url="postgresql://eva:s3cret@db/evergreen")
    watch = Watch(PrefectApi("http://127.0.0.1:1/api", "ops:h1dden"), settings, monday)
    assert without_secrets("password s3cret of eva refused, as was h1dden", watch) == (
        "password *** of eva refused, as was ***"
    )


def test_a_pod_has_the_time_that_its_template_gives_it():
    for template in (REPOSITORY / "deployments" / "kubernetes").rglob("base-job-template.json"):
        pod = json.loads(template.read_text())["variables"]["properties"]["pod_watch_timeout_seconds"]
        assert Patience().pending >= 1.5 * timedelta(seconds=pod["default"])


def test_a_later_dry_run_has_done_nothing(deployed):
    dead = deployed.begin("PENDING", "RUNNING", "CRASHED")
    deployed.begin("PENDING", "RUNNING", "COMPLETED", dry_run=True)
    assert deployed.look(minutes=2) == [f"crashed: run {dead.name} of {deployed.model} is tried once more"]


def test_a_retry_that_the_server_did_not_take_is_tried_again(deployed, monkeypatch):
    run = deployed.begin("PENDING", "RUNNING", "CRASHED")

    def unreachable(*_, **__):
        raise UnavailableError("the server does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(type(deployed.api), "set_state", unreachable)
        with pytest.raises(UnavailableError):
            deployed.look(minutes=2)
    assert deployed.look(minutes=3) == [], "somebody may be at it"
    assert deployed.look(minutes=8) == [f"crashed: run {run.name} of {deployed.model} is tried once more"]


def test_a_run_that_died_long_ago_is_told_and_not_tried(deployed):
    run = deployed.begin("PENDING", "RUNNING", "CRASHED")
    [line] = deployed.look(hours=25)
    assert line.startswith("failed: ")
    assert deployed.state(run)[0] == "CRASHED"


def test_a_failure_is_told_once_with_what_it_said(deployed):
    run = deployed.begin("PENDING", "RUNNING")
    deployed.set(run, "FAILED", "MLflow does not answer;\n start it")
    assert deployed.look() == [
        f"failed: run {run.name} of {deployed.model}: MLflow does not answer; start it",
    ]
    assert deployed.look(hours=1) == []
    assert deployed.home.outbox.known(f"flow_run:{run.id}").payload["state"] == "FAILED"


def test_a_dry_run_concerns_nobody_but_who_started_it(deployed):
    failed, dead = (
        deployed.begin("PENDING", "RUNNING", "FAILED", dry_run=True),
        deployed.begin("PENDING", "RUNNING", dry_run=True),
    )
    assert deployed.look(hours=2) == []
    assert deployed.look(hours=25) == [f"crashed: run {dead.name} of {deployed.model}: its process is gone"]
    assert deployed.look(hours=2) == []
    assert deployed.home.outbox.known(f"flow_run:{failed.id}") is None
