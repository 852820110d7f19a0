import pytest

from evergreen.cli.settle import settle_runs
from evergreen.orchestrator.api import PrefectApi

pytestmark = pytest.mark.slow


@pytest.fixture
def run(prefect_server):
    """A flow run that is in a state; its id."""
    api = prefect_server.api
    flow = api.post("/flows/", name="settled")

    def make(kind: str) -> str:
        created = api.post("/flow_runs/", flow_id=flow["id"], name=f"run-{kind.lower()}")
        api.set_state(created["id"], kind, force=True)
        return str(created["id"])

    return make


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("PENDING", "SCHEDULED", ["flow run run-pending had not begun; it does after the next start"]),
        ("RUNNING", "CRASHED", ["flow run run-running was cut short; it is tried once more after the next start"]),
        ("CANCELLING", "CANCELLED", []),
        ("CRASHED", "CRASHED", []),
        ("COMPLETED", "COMPLETED", []),
    ],
)
def test_a_run_whose_process_was_ended_is_in_the_state_that_is_true(prefect_server, run, before, after, said):
    lines, run_id = [], run(before)
    settle_runs(prefect_server.api, [run_id], lines.append)
    assert prefect_server.api.flow_run(run_id).state_type == after
    assert lines == said


def test_runs_that_nobody_knows_and_servers_that_are_gone_do_not_stop_the_stop(prefect_server):
    lines, unknown = [], "00000000-0000-4000-8000-000000000000"
    settle_runs(prefect_server.api, [unknown], lines.append)
    assert lines == []
    settle_runs(PrefectApi("http://127.0.0.1:9/api"), [unknown], lines.append)
    assert len(lines) == 1
    assert lines[0].startswith(f"flow run {unknown}: Prefect's server at http://127.0.0.1:9/api")
    assert "does not answer" in lines[0]
