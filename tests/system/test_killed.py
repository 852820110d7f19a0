"""A worker and its run are killed: the run is noticed and goes on, from what is finished, to a normal end."""

import os
import signal
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from evergreen.operations.tend import tend
from evergreen.registry.versions import Registry
from evergreen.stages.open import tracking_of
from evergreen.store.ledger import Ledger
from evergreen.store.turn import holder
from tests.servers import wait_for

pytestmark = pytest.mark.slow


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
