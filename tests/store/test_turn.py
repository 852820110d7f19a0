import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from evergreen.address import with_driver
from evergreen.errors import IntegrityError, UnavailableError, UserError
from evergreen.store.turn import Busy, Holder, holder, in_turn, take_turn

NOW = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
HOLD = """
import sys, time
from datetime import UTC, datetime
from evergreen.store.turn import take_turn
with take_turn(sys.argv[1], "churn", "flow-1", datetime(2026, 3, 2, 6, tzinfo=UTC)):
    print("taken", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def url(ledger) -> str:
    return ledger.url


@pytest.fixture
def other(url):
    """Another process that has the turn."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, url], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "taken\n"
    yield process
    process.kill()
    process.communicate()


def test_one_process_has_the_turn_and_others_are_told_who(url, other):
    assert holder(url, "churn") == Holder("flow-1", NOW, "churn")
    with (
        pytest.raises(Busy, match=r"churn: a run has its turn since 2026-03-02 06:00:00 UTC \(flow-1\)"),
        take_turn(url, "churn", "flow-2", NOW),
    ):
        pass


def test_a_killed_holder_frees_the_turn(url, other):
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    with taken_soon(url):
        assert holder(url, "churn").holder == "flow-2"
    assert holder(url, "churn") is None


def test_what_a_killed_holder_left_behind_is_not_believed(url, other):
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    with taken_soon(url):
        pass
    assert holder(url, "churn") is None


def test_a_turn_excludes_threads_of_its_own_process(url):
    with take_turn(url, "churn", "flow-1", NOW):
        assert in_thread(lambda: taken(url)) == "busy"
    assert in_thread(lambda: taken(url)) == "taken"


def test_turns_of_two_models_are_two_turns(url):
    with take_turn(url, "churn", "flow-1", NOW), take_turn(url, "demand/é :x", "flow-2", NOW) as second:
        assert second.alive()
        assert holder(url, "demand/é :x").holder == "flow-2"


def test_a_turn_is_free_after_a_failure_in_it(url):
    with pytest.raises(ZeroDivisionError), take_turn(url, "churn", "flow-1", NOW):
        raise ZeroDivisionError
    assert holder(url, "churn") is None
    assert taken(url) == "taken"


def test_a_turn_lives_while_it_lasts(url):
    with take_turn(url, "churn", "flow-1", NOW + timedelta(hours=1)) as turn:
        assert turn.alive()
        assert holder(url, "churn").since == NOW + timedelta(hours=1)
    assert not turn.alive()


def test_a_killed_holder_frees_the_turn_though_a_child_of_it_lives(url, tmp_path):
    # A forked child shares every open file and connection of its parent, and with them whatever they hold.
    reading, writing = os.pipe()
    parent = multiprocessing.get_context("fork").Process(target=hold_and_fork, args=(url, writing))
    parent.start()
    child = int(os.read(reading, 20))
    try:
        os.kill(parent.pid, signal.SIGKILL)
        parent.join()
        os.kill(child, 0)
        with taken_soon(url):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


def hold_and_fork(url: str, writing: int) -> None:
    with take_turn(url, "churn", "flow-1", NOW):
        child = os.fork()
        if child == 0:
            time.sleep(600)
        os.write(writing, str(child).encode())
        time.sleep(600)


def test_a_turn_whose_session_was_cut_is_lost(cluster):
    url = prepared(cluster.create_database())
    with take_turn(url, "churn", "flow-1", NOW) as turn:
        execute(url, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
        with taken_soon(url):
            assert not turn.alive()
    assert holder(url, "churn") is None


def test_a_turn_whose_file_was_removed_is_lost(tmp_path):
    url = f"sqlite:///{tmp_path / 'evergreen.db'}"
    with take_turn(url, "churn", "flow-1", NOW) as turn:
        (lock,) = (tmp_path / "evergreen.db.turns").iterdir()
        lock.unlink()
        assert not turn.alive()
        assert taken(url) == "taken"


def test_a_turn_nobody_can_lock_is_unavailable(tmp_path):
    (tmp_path / "evergreen.db.turns").write_text("")
    with (
        pytest.raises(UnavailableError, match="cannot be locked"),
        take_turn(f"sqlite:///{tmp_path / 'evergreen.db'}", "churn", "flow-1", NOW),
    ):
        pass


def test_turns_on_a_store_that_is_not_prepared_are_refused(cluster):
    with pytest.raises(IntegrityError), take_turn(cluster.create_database(), "churn", "flow-1", NOW):
        pass


def test_a_store_in_memory_has_no_turns():
    with pytest.raises(UserError, match="give it a file"), take_turn("sqlite://", "churn", "flow-1", NOW):
        pass


def test_a_section_is_waited_for_and_not_for_ever(url):
    with (
        in_turn(url, "churn", 5),
        pytest.raises(UnavailableError, match=r"held by another process for over 0\.1 s"),
        in_turn(url, "churn", 0.1),
    ):
        pass


def test_a_section_and_a_turn_of_one_name_do_not_meet(url):
    with take_turn(url, "churn", "flow-1", NOW), in_turn(url, "churn", 0), in_turn(url, "demand", 0):
        pass


def test_nothing_is_lost_where_four_count_in_one_section(url, tmp_path):
    count = tmp_path / "count"
    count.write_text("0")

    def add() -> None:
        for _ in range(5):
            with in_turn(url, "count", 30):
                count.write_text(str(int(count.read_text()) + 1))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count.read_text() == "20"


def taken(url: str) -> str:
    try:
        with take_turn(url, "churn", "flow-2", NOW):
            return "taken"
    except Busy:
        return "busy"


def taken_soon(url: str):
    """The turn, as soon as a server has noticed that its holder hung up."""
    deadline = time.monotonic() + 30
    while taken(url) == "busy":
        assert time.monotonic() < deadline
    return take_turn(url, "churn", "flow-2", NOW)


def in_thread(call):
    found = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join()
    return found[0]


def prepared(url: str) -> str:
    from evergreen.store.ledger import Ledger

    Ledger(url).prepare()
    return url


def execute(url: str, statement: str) -> None:
    engine = sa.create_engine(with_driver(url), poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text(statement))
