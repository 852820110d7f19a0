"""The flow that looks at live traffic: what its form asks, what its run shows."""

import importlib
from datetime import timedelta

import pytest

from tests.project import shoppers
from tests.served import champion_of, serve

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def monitor(orchestrator):
    return importlib.import_module("flows.monitor").monitor


def test_every_field_is_flat_and_described(monitor):
    schema = monitor.parameters.model_dump()
    assert all(field.get("description") for field in schema["properties"].values()), schema
    assert schema["required"] == ["model"]


def test_a_run_looks_at_the_window_and_its_page_says_what_was_seen(crowned, monitor, flow_run):
    waits = monitor("tiny", return_state=True)
    assert (waits.is_completed(), "no window yet" in waits.message) == (True, True)
    # Every row as early as that it may be in a window by now.
    crowned.change(monitoring={"grace": "0s"})
    reign = crowned.ledger.history("tiny")[-1].at
    moments = {"span": timedelta(milliseconds=600), "written": timedelta(seconds=-20)}
    serve(crowned, champion_of(crowned), shoppers(days=50, seed=5), reign, **moments)
    state = monitor("tiny", return_state=True)
    assert state.message == "tiny: quiet, 600 rows: Nothing is out of bounds"
    seen = flow_run(str(state.state_details.flow_run_id))
    assert [task.name for task in seen["tasks"]] == ["take", "look", "decide", "conclude"]
    assert "**QUIET** · tiny · version 1 · 600 rows" in seen["artifacts"]["tiny-window"]
