import os
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest

from evergreen.errors import UserError
from evergreen.supervisor.claim import claim, end_leftovers
from evergreen.supervisor.logs import START, bound_log, last_lines
from evergreen.supervisor.ports import holder, require_port
from evergreen.supervisor.processes import MARK, end
from evergreen.supervisor.state import UpState, write_state

CLAIMS = """
import sys, time
from pathlib import Path
from evergreen.supervisor.claim import claim
with claim(Path(sys.argv[1])):
    print("mine", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def other(tmp_path):
    """Another process that has claimed the home."""
    process = subprocess.Popen([sys.executable, "-c", CLAIMS, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"mine\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_supervisor_is_refused_and_told_who_the_first_is(tmp_path, other):
    state = UpState(other.pid, "http://127.0.0.1:4200/api", "http://127.0.0.1:4200", None, datetime.now(UTC))
    write_state(tmp_path, state)
    with pytest.raises(UserError) as refusal, claim(tmp_path):
        pass
    assert f"process {other.pid}, Prefect at http://127.0.0.1:4200" in str(refusal.value)
    assert "evergreen down" in str(refusal.value)


def test_one_that_is_only_starting_is_respected_too(tmp_path, other):
    with pytest.raises(UserError, match="starting or stopping"), claim(tmp_path):
        pass


def test_a_killed_supervisor_does_not_keep_its_claim(tmp_path, other):
    other.send_signal(signal.SIGKILL)
    other.wait()
    with claim(tmp_path):
        pass


def test_a_home_that_cannot_be_written_is_a_mistake_of_the_user(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="EVERGREEN_HOME"), claim(tmp_path / "file"):
        pass


def test_what_killed_supervisors_of_this_home_have_left_is_ended_and_nothing_else(tmp_path):
    homes = (tmp_path / "mine", tmp_path / "theirs")
    sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
    mine, theirs = (subprocess.Popen(sleep, env={**os.environ, MARK: f"1/2@{home}"}) for home in homes)
    try:
        assert end_leftovers(homes[0], time.monotonic, time.sleep) == 1
        assert mine.wait() == -signal.SIGTERM
        assert theirs.poll() is None
        assert end_leftovers(homes[0], time.monotonic, time.sleep) == 0
    finally:
        theirs.kill()
        theirs.wait()


def test_who_asks_is_not_among_the_marked(tmp_path):
    code = f"from evergreen.supervisor.processes import marked_processes as m; print({str(tmp_path)!r} in str(m()))"
    environment = {**os.environ, MARK: f"1/2@{tmp_path}"}
    asked = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert asked.stdout == "False\n"


def test_who_ends_when_asked_is_not_killed_and_who_does_not_is():
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); signal.pause()"
    polite = "print(1, flush=True); import signal; signal.pause()"
    for code, number in ((polite, signal.SIGTERM), (deaf, signal.SIGKILL)):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        process.stdout.readline()

        def living(process=process):
            return [] if process.poll() is not None else [process.pid]

        asked = end(living, lambda number=number: 0.3 if number == signal.SIGKILL else 60, time.monotonic, time.sleep)
        assert (asked, process.returncode) == (number == signal.SIGTERM, -number)
        process.stdout.close()


def test_a_port_that_is_taken_is_named_with_its_holder_and_the_option():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(UserError) as refusal:
            require_port(port, "--prefect-port")
        assert f"port {port} is taken" in str(refusal.value)
        assert "--prefect-port" in str(refusal.value)
        if sys.platform == "linux":
            assert f"(process {os.getpid()})" in str(refusal.value)
    assert require_port(port, "--prefect-port") == port
    assert holder(port) is None


def test_port_zero_is_any_that_is_free():
    assert require_port(0, "--prefect-port") > 1023


def test_a_log_that_has_grown_is_moved_aside_and_who_writes_to_it_goes_on(tmp_path):
    log = tmp_path / "prefect.log"
    bound_log(log)
    with log.open("ab", buffering=0) as writer:
        writer.write(b"old\n" * 10)
        bound_log(log, most_bytes=100)
        assert log.stat().st_size == 40
        bound_log(log, most_bytes=39)
        writer.write(b"new\n")
    assert log.read_text() == "new\n"
    assert (tmp_path / "prefect.log.1").read_text() == "old\n" * 10


def test_the_last_lines_of_a_log(tmp_path):
    log = tmp_path / "log"
    assert last_lines(log) == ()
    log.write_text("".join(f"line {number}\n\n" for number in range(10_000)))
    assert last_lines(log, 2) == ("line 9998", "line 9999")
    with log.open("a") as file:
        file.write(f"{START}\nno such database\n")
    assert last_lines(log) == ("no such database",)
