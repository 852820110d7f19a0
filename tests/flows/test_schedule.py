"""Prefect's server, booted as it would be for a team, plans the runs of a schedule.

With versions that resolve and do not work together it starts, answers, and silently plans nothing.
"""

import pytest

from tests.servers import wait_for

pytestmark = pytest.mark.slow

SCHEDULE = {"cron": "0 6 * * 1", "timezone": "Europe/Berlin"}


def test_a_cron_deployment_gets_scheduled_runs(prefect_server):
    api = prefect_server.api
    flow = api.post("/flows/", name="weekly")
    schedules = [{"schedule": SCHEDULE, "active": True}]
    deployment = api.post("/deployments/", name="planned", flow_id=flow["id"], schedules=schedules)
    runs = wait_for(lambda: api.flow_runs(deployment_ids=[deployment["id"]]), seconds=60)
    assert {run.state_type for run in runs} == {"SCHEDULED"}
    assert all("auto-scheduled" in run.tags for run in runs)
