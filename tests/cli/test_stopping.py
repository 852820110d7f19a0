"""Stopping ends, and takes the time that is needed for it."""

import inspect
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from evergreen.cli import down
from evergreen.cli.machine import down as down_command
from evergreen.cli.parts import choose_places, table_of_parts
from evergreen.notify.web import TIMEOUT
from evergreen.settings import Settings
from evergreen.supervisor.state import UpState

STARTED = datetime(2026, 11, 16, 6, tzinfo=UTC)
# No process has it: above what any kernel gives.
NOBODY = 2**30


def test_a_supervisor_that_ends_while_down_looks_at_it_is_not_waited_for(tmp_path, monkeypatch, capsys):
    state = UpState(NOBODY, "http://127.0.0.1:1/api", "http://127.0.0.1:1", None, STARTED)
    monkeypatch.setattr(down, "read_state", lambda home: state)
    monkeypatch.setattr(down, "_PAUSE_SECONDS", -1)  # whoever waits fails
    settings = replace(Settings.from_environment({"EVERGREEN_HOME": str(tmp_path)}), home=tmp_path / "none")
    down.run_down(0, settings)
    assert "stopped; nothing runs for" in capsys.readouterr().out


@pytest.fixture
def parts(tmp_path):
    settings = Settings.from_environment({"EVERGREEN_HOME": str(tmp_path)})
    return {part.name: part for part in table_of_parts(settings, choose_places({}, 0, 0), 1, STARTED)}


def test_tending_may_finish_the_message_that_it_sends(parts):
    # Connecting, sending and answering may take so long each.
    assert parts["tend"].patience_seconds > 3 * TIMEOUT.total_seconds()


def test_down_waits_for_all_that_its_parts_may_take(parts):
    patience = sum(part.patience_seconds for part in parts.values() if part.command and not part.once)
    assert inspect.signature(down_command).parameters["wait"].default > patience + 30
