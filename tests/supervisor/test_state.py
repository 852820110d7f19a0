import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from evergreen.supervisor.processes import birth
from evergreen.supervisor.state import UpState, forget_state, read_state, up_folder, write_state

STARTED = datetime(2026, 5, 4, 6, tzinfo=UTC)


def state_of(pid: int) -> UpState:
    api = "http://127.0.0.1:4200/api"
    return UpState(pid, api, "http://127.0.0.1:4200", None, STARTED, {"worker": 12}, STARTED)


@pytest.fixture
def sleeper():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def test_what_is_written_is_read(tmp_path):
    write_state(tmp_path, state_of(os.getpid()))
    assert read_state(tmp_path) == state_of(os.getpid())


def test_nobody_runs_where_nothing_was_written_or_all_was_forgotten(tmp_path):
    assert read_state(tmp_path) is None
    write_state(tmp_path, state_of(os.getpid()))
    forget_state(tmp_path)
    forget_state(tmp_path)
    assert read_state(tmp_path) is None


@pytest.mark.parametrize("reaped", [False, True], ids=["zombie", "gone"])
def test_a_supervisor_that_was_killed_does_not_run(tmp_path, sleeper, reaped):
    write_state(tmp_path, state_of(sleeper.pid))
    assert read_state(tmp_path) is not None
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    if reaped:
        sleeper.wait()
    assert read_state(tmp_path) is None


def test_another_process_that_got_the_id_is_not_taken_for_the_supervisor(tmp_path, sleeper):
    write_state(tmp_path, state_of(sleeper.pid))
    file = up_folder(tmp_path) / "state.json"
    values = json.loads(file.read_text())
    # As if the id had been given away again: same id, born at another time.
    file.write_text(json.dumps({**values, "born": birth(os.getpid())}))
    assert read_state(tmp_path) is None


def test_a_file_that_is_no_state_is_none(tmp_path):
    up_folder(tmp_path).mkdir()
    (up_folder(tmp_path) / "state.json").write_text('{"pid": 1')
    assert read_state(tmp_path) is None
