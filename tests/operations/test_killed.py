"""A worker and its run are killed: the run is noticed and goes on, from what is finished, to a normal end."""

import os
import signal
from datetime import UTC, datetime, timedelta

import pytest

from evergreen.operations.tend import tend
from evergreen.store.turn import holder
from tests.machine import running_project
from tests.servers import wait_for

pytestmark = pytest.mark.slow

CANDIDATES = [
    {"kind": "logistic_regression", "grid": {"C": [0.1, 1.0]}},
    {"kind": "gradient_boosting", "grid": {"n_estimators": [200, 300, 400]}},
]


@pytest.fixture
def own(prepared_project, shopper_table, tmp_path):
    """A project whose run tries enough to be killed in between."""
    project = type(prepared_project)(tmp_path / "project").create(shopper_table())
    project.change(training__candidates=CANDIDATES, owner="tests@example.com")
    return project


def trials(project):
    return {path: path.stat().st_mtime_ns for path in project.settings.work.rglob("trial-*.json")}


def test_a_run_that_is_killed_with_its_worker_is_noticed_and_goes_on_from_what_is_finished(own):
    with running_project(own.folder) as machine:
        api, settings = machine.api, own.settings
        deployment = api.deployment("retrain/tiny")
        run = api.create_run(deployment.id, {"as_of": "2026-04-01T00:00:00Z"}, "to be killed")
        finished = wait_for(lambda: trials(own) or None, seconds=240)
        assert holder(settings.store_url, "tiny").holder == run.id

        worker = machine.state.children["worker"]
        for process in (worker, *(found.pid for found in machine.living if found.flow_run == run.id)):
            os.kill(process, signal.SIGKILL)
        # The turn is free the instant that its process is gone; Prefect knows nothing yet.
        wait_for(lambda: holder(settings.store_url, "tiny") is None)
        assert api.flow_run(run.id).state_type == "RUNNING"
        finished |= trials(own)

        def look(**later):
            return tend(settings, api, datetime.now(UTC) + timedelta(**later), {})

        assert "crashed: run tiny-manual of tiny: its process is gone" in look(minutes=2)
        assert "crashed: run tiny-manual of tiny is tried once more" in look(minutes=2)
        ended = wait_for(
            lambda: (found := api.flow_run(run.id)).state_type in ("COMPLETED", "FAILED") and found, seconds=240
        )
        assert (ended.state_type, ended.run_count) == ("COMPLETED", 2)
        assert [entry.flow_run for entry in own.ledger.entries("tiny")] == [run.id]
        assert own.champion() == 1
        assert {path: at for path, at in trials(own).items() if path in finished} == finished
        assert len(trials(own)) == 5
        assert holder(settings.store_url, "tiny") is None
