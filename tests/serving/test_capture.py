"""Answers reach the store in groups; what is lost is counted, and nobody is told what is not so."""

import asyncio
import logging
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from evergreen.errors import IntegrityError, RowError, UnavailableError
from evergreen.serving.capture import Capture, CaptureLimits
from evergreen.serving.handles import Prediction, Role
from evergreen.serving.kept import Kept, kept_of
from evergreen.spec import ModelSpec
from evergreen.spec.serving import Serving
from evergreen.store.ledger import Ledger
from evergreen.store.traffic import Traffic
from evergreen.store.traffic_writer import TrafficWriter

NOW = datetime(2026, 3, 2, 6, 30, tzinfo=UTC)
END = datetime(2026, 3, 3, tzinfo=UTC)
QUICK = CaptureLimits(linger=0.01, first_pause=0.01, longest_pause=0.05)
PATIENT = CaptureLimits(linger=60)
GUIDE = Path(__file__).parents[2] / "docs" / "traffic.md"
CHILD = Path(__file__).with_name("child.py")


def prediction(name: object, **changes) -> Prediction:
    inputs = {"price": 1.5, "email": "eva@example.com"}
    made = Prediction(f"{name}.0", f"{name}", "churn", 3, Role.CHAMPION, NOW, inputs, "no", row_id=f"c{name}")
    return replace(made, **changes)


class Shelf:
    """A writer for tests of the queue: `down` makes it fail, `closed` makes it wait."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.down: Exception | None = None
        self.asked = 0
        self.open = threading.Event()
        self.open.set()
        self.poison: str | None = None

    @property
    def kept(self) -> list[str]:
        return [name for group in self.groups for name in group]

    def write(self, rows: Sequence[Prediction], now: datetime) -> None:
        self.asked += 1
        assert self.open.wait(30)
        if self.down is not None:
            raise self.down
        if any(row.request == self.poison for row in rows):
            raise RowError("a row that no database takes")
        self.groups.append([row.request for row in rows])

    def close(self) -> None:
        pass


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def build(shelf):
    """Captures that are closed in the end."""
    made: list[Capture] = []

    def new(limits: CaptureLimits = QUICK, rules: dict[str, Kept] | None = None) -> Capture:
        made.append(Capture(shelf, lambda: NOW, rules, limits))
        return made[-1]

    yield new
    shelf.open.set()
    shelf.down = None
    for capture in made:
        capture.close(5)


def until(happened: Callable[[], object]) -> None:
    """Wait for something that is bound to happen."""
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.002)


# ---- beside the answering


def test_everything_is_written_in_its_order(build, shelf):
    capture = build()
    for name in range(500):
        capture.put([prediction(name)])
    assert capture.close(30) == 0
    assert shelf.kept == [str(name) for name in range(500)]
    state = capture.state
    assert (state.backlog, state.written, state.lost, state.last_commit) == (0, 500, 0, NOW)


def test_what_waits_is_written_as_one_group(build, shelf):
    capture = build(PATIENT)
    for name in range(50):
        capture.put([prediction(name)])
    assert shelf.groups == []
    assert capture.state.backlog == 50
    capture.close(30)
    assert len(shelf.groups) == 1


def test_a_full_group_is_written_without_waiting(build, shelf):
    capture = build(replace(PATIENT, group_rows=10))
    for name in range(25):
        capture.put([prediction(name)])
    until(lambda: len(shelf.kept) == 20)
    assert [len(group) for group in shelf.groups] == [10, 10]


def test_rows_of_one_request_are_never_parted(build, shelf):
    capture = build(replace(PATIENT, group_rows=10))
    for name in range(4):
        capture.put([prediction(name)] * 6)
    capture.close(30)
    assert shelf.groups == [["0"] * 6, ["1"] * 6, ["2"] * 6, ["3"] * 6]


def test_a_full_queue_loses_what_comes_and_counts_it_and_says_so_once(build, shelf, caplog):
    shelf.open.clear()
    capture = build(replace(QUICK, queue_rows=10))
    with caplog.at_level(logging.ERROR):
        for name in range(14):
            capture.put([prediction(name)])
    assert (capture.state.backlog, capture.state.lost) == (10, 4)
    assert len([record for record in caplog.records if "are lost" in record.message]) == 1
    shelf.open.set()
    assert capture.close(30) == 0
    assert shelf.kept == [str(name) for name in range(10)]


def test_a_store_that_is_down_is_waited_for_and_nothing_is_lost_or_out_of_order(build, shelf):
    shelf.down = UnavailableError("the store does not answer")
    capture = build()
    capture.put([prediction("a")])
    until(lambda: shelf.asked > 2)
    assert capture.state.problem == "the store does not answer"
    capture.put([prediction("b")])
    shelf.down = None
    until(lambda: capture.state.written == 2)
    assert shelf.kept == ["a", "b"]
    assert capture.state.problem is None


def test_a_row_that_cannot_be_written_takes_no_other_with_it(build, shelf, caplog):
    shelf.poison = "1"
    capture = build(PATIENT)
    for name in range(4):
        capture.put([prediction(name)])
    capture.close(30)
    assert shelf.kept == ["0", "2", "3"]
    assert (capture.state.lost, capture.state.written) == (1, 3)


@pytest.mark.parametrize("broken", [IntegrityError("this is no store"), ZeroDivisionError("a bug")], ids=str)
def test_whatever_is_wrong_with_the_store_predictions_wait_for_it(build, shelf, broken):
    shelf.down = broken
    capture = build()
    capture.put([prediction("a"), prediction("b")])
    until(lambda: shelf.asked > 2)
    assert str(broken) in capture.state.problem
    assert (capture.state.backlog, capture.state.lost) == (2, 0)
    shelf.down = None
    until(lambda: capture.state.written == 2)
    assert capture.state.problem is None


def test_a_store_that_is_not_prepared_yet_loses_nothing(tmp_path):
    url = f"sqlite:///{tmp_path / 'evergreen.db'}"
    capture = Capture(TrafficWriter(url), lambda: NOW, limits=QUICK)
    capture.put([prediction(name) for name in range(50)])
    until(lambda: capture.state.problem)
    assert "not a prepared store" in capture.state.problem
    Ledger(url).prepare()
    assert capture.close(30) == 0
    assert Traffic(url).window("churn", NOW, END).rows == 50


def test_a_value_that_cannot_be_packed_is_set_aside_and_the_rest_is_written(tmp_path, caplog):
    url = f"sqlite:///{tmp_path / 'evergreen.db'}"
    Ledger(url).prepare()
    capture = Capture(TrafficWriter(url), lambda: NOW, limits=PATIENT)
    for name, value in enumerate([1.5, object(), 2.5]):
        capture.put([prediction(name, inputs={"price": value})])
    assert capture.close(30) == 0
    assert (capture.state.written, capture.state.lost) == (2, 1)


def test_where_the_store_is_only_slower_a_batch_waits_for_room(build, shelf):
    capture = build(replace(QUICK, queue_rows=10))

    async def ask(hand_over) -> None:
        shelf.open.clear()
        capture.put([prediction("first")] * 8)
        waiting = asyncio.ensure_future(hand_over([prediction("second")] * 8))
        done, _ = await asyncio.wait([waiting], timeout=0.05)
        assert not done
        shelf.open.set()
        await waiting

    for hand_over in (capture.offer, capture.durable):
        asyncio.run(ask(hand_over))
        until(lambda: capture.state.backlog == 0)
    assert (capture.state.written, capture.state.lost) == (32, 0)


def test_nobody_waits_for_room_while_the_store_is_down(build, shelf):
    shelf.down = UnavailableError("the store does not answer")
    capture = build(replace(QUICK, queue_rows=10, patience=60))
    capture.put([prediction("first")] * 8)
    until(lambda: capture.state.problem)
    asyncio.run(asyncio.wait_for(capture.offer([prediction("second")] * 8), 30))
    assert (capture.state.backlog, capture.state.lost) == (8, 8)


def test_what_waits_is_bounded_in_bytes_too(build, shelf):
    shelf.down = UnavailableError("the store does not answer")
    capture = build(replace(QUICK, queue_bytes=100))
    capture.put([prediction("whole")], 500)
    until(lambda: capture.state.problem)
    assert not capture.has_room(1)
    capture.put([prediction("late")], 1)
    assert (capture.state.backlog, capture.state.lost) == (1, 1)
    shelf.down = None
    until(lambda: capture.state.backlog == 0)
    assert capture.has_room(1, 500)
    for name in ("first", "second"):
        capture.put([prediction(name)], 40)
    until(lambda: capture.state.written == 3)
    assert shelf.kept == ["whole", "first", "second"]


def test_a_group_of_many_bytes_waits_for_no_more_and_takes_no_more(build, shelf):
    capture = build(replace(PATIENT, group_bytes=100))
    shelf.open.clear()
    capture.put([prediction("large")], 100)
    until(lambda: shelf.asked)
    for name in ("next", "after", "last"):
        capture.put([prediction(name)], 60)
    shelf.open.set()
    until(lambda: capture.state.written >= 3)
    assert shelf.groups[:3] == [["large"], ["next"], ["after"]]
    assert capture.close(30) == 0
    assert shelf.groups[3:] == [["last"]]


def test_what_a_version_leaves_out_stays_out_when_another_follows_it(tmp_path):
    url = f"sqlite:///{tmp_path / 'evergreen.db'}"
    Ledger(url).prepare()
    capture = Capture(TrafficWriter(url), lambda: NOW, limits=PATIENT)
    capture.follow("churn", Kept(leave_out={"email"}), 3)
    capture.put([prediction("waits")])
    capture.follow("churn", Kept(), 4)
    capture.put([prediction("late"), prediction("next", version=4)])
    capture.close(30)
    found = Traffic(url).window("churn", NOW, END)
    kept = dict(zip(found.answers.column("request").to_pylist(), found.inputs.to_pylist(), strict=True))
    assert {name for name, inputs in kept.items() if inputs["email"] is not None} == {"next"}


def test_closing_while_the_store_is_down_ends_in_time_and_counts_what_is_lost(build, shelf, caplog):
    shelf.down = UnavailableError("the store does not answer")
    capture = build(replace(PATIENT, first_pause=60, longest_pause=60))
    capture.put([prediction("a"), prediction("b")])
    assert capture.close(0.2) == 2
    assert capture.state.lost == 2


def test_what_comes_after_closing_is_counted_as_lost(build, shelf):
    capture = build()
    capture.close(5)
    capture.put([prediction("a")])
    assert (shelf.kept, capture.state.lost) == ([], 1)


# ---- waited for


def test_an_answer_is_given_only_after_its_group_is_committed(build, shelf):
    capture = build(PATIENT)

    async def ask() -> None:
        shelf.open.clear()
        waiting = asyncio.ensure_future(capture.durable([prediction("a")]))
        done, _ = await asyncio.wait([waiting], timeout=0.05)
        assert not done
        shelf.open.set()
        await waiting
        assert shelf.kept == ["a"]

    asyncio.run(ask())


def test_requests_that_wait_share_a_commit(build, shelf):
    capture = build(PATIENT)

    async def ask() -> None:
        shelf.open.clear()
        first = asyncio.ensure_future(capture.durable([prediction("first")]))
        while not shelf.asked:
            await asyncio.sleep(0.001)
        others = [asyncio.ensure_future(capture.durable([prediction(name)])) for name in range(30)]
        await asyncio.sleep(0)
        shelf.open.set()
        await asyncio.gather(first, *others)

    asyncio.run(ask())
    assert [len(group) for group in shelf.groups] == [1, 30]


def test_nobody_is_told_that_something_is_kept_which_is_not(build, shelf):
    shelf.down = UnavailableError("the store does not answer")
    capture = build(replace(PATIENT, first_pause=60, longest_pause=60))

    async def ask() -> None:
        for _ in range(2):
            # The second is not even tried: the store has just failed.
            with pytest.raises(UnavailableError, match=r"cannot be kept: .*does not answer"):
                await capture.durable([prediction("a")])

    asyncio.run(ask())
    assert shelf.asked == 1
    assert capture.state.backlog == 0


def test_whoever_waits_does_not_hang_behind_rows_that_are_tried_again(build, shelf):
    shelf.down = UnavailableError("the store does not answer")
    capture = build(replace(QUICK, linger=60, longest_pause=0.2))
    capture.put([prediction("beside")])

    async def ask() -> None:
        for _ in range(5):
            with pytest.raises(UnavailableError):
                await asyncio.wait_for(capture.durable([prediction("a")]), 30)
            await asyncio.sleep(0.05)

    asyncio.run(ask())
    shelf.down = None
    until(lambda: shelf.kept == ["beside"])


def test_a_full_queue_refuses_whoever_would_wait(build, shelf):
    shelf.open.clear()
    capture = build(replace(QUICK, queue_rows=1, patience=0.01))
    capture.put([prediction("a")])

    async def ask() -> None:
        with pytest.raises(UnavailableError, match="too many wait already"):
            await capture.durable([prediction("b")])

    asyncio.run(ask())


def test_a_caller_that_went_away_does_no_harm(build, shelf):
    capture = build(PATIENT)

    async def ask() -> None:
        shelf.open.clear()
        gone = asyncio.ensure_future(capture.durable([prediction("gone")]))
        await asyncio.sleep(0.01)
        gone.cancel()
        stays = asyncio.ensure_future(capture.durable([prediction("stays")]))
        await asyncio.sleep(0)
        shelf.open.set()
        await stays

    asyncio.run(ask())
    assert shelf.kept == ["gone", "stays"]


def test_closing_tells_whoever_waits(build, shelf):
    capture = build(PATIENT)

    async def ask() -> None:
        shelf.open.clear()
        first = asyncio.ensure_future(capture.durable([prediction("a")]))
        while not shelf.asked:
            await asyncio.sleep(0.001)
        second = asyncio.ensure_future(capture.durable([prediction("b")]))
        await asyncio.sleep(0)
        await asyncio.to_thread(capture.close, 0.05)
        with pytest.raises(UnavailableError, match="the server stops"):
            await second
        shelf.open.set()
        await first

    asyncio.run(ask())


# ---- what is kept of an answer


def test_a_share_is_of_whole_requests_and_the_same_everywhere():
    quarter = Kept(share=0.25)
    names = [name for name in range(4000) if quarter.takes(prediction(name))]
    assert 850 < len(names) < 1150
    shadow = [prediction(name, role=Role.CHALLENGER, version=4, id=f"{name}.7") for name in names]
    assert all(map(quarter.takes, shadow))
    whole = [prediction(name, row_id=None, id=f"{name}.{place}") for name in range(400) for place in (0, 1)]
    taken = [quarter.takes(one) for one in whole]
    assert taken[::2] == taken[1::2]
    assert 60 < sum(taken[::2]) < 140
    assert not any(Kept(share=0).takes(prediction(name)) for name in range(50))
    assert Kept(share=0).takes(prediction(1, explored=True))


def test_of_a_row_every_request_is_in_the_share_or_none():
    quarter = Kept(share=0.25)
    taken = [{quarter.takes(prediction(time, row_id=f"c{row}")) for time in range(20)} for row in range(200)]
    assert all(len(each) == 1 for each in taken)
    assert 30 < taken.count({True}) < 70


def test_what_is_left_out_never_reaches_the_writer(tmp_path):
    url = f"sqlite:///{tmp_path / 'evergreen.db'}"
    Ledger(url).prepare()
    capture = Capture(TrafficWriter(url), lambda: NOW, {"churn": Kept(leave_out={"email"}, names_rows=False)})
    capture.put([prediction("a"), prediction("b", model="demand")])
    capture.close(30)
    found = Traffic(url).window("churn", NOW, END)
    assert found.inputs.to_pylist() == [{"price": 1.5}]
    assert found.answers.column("row_id").to_pylist() == [None]
    assert Traffic(url).window("demand", NOW, END).inputs.column("email").to_pylist() == ["eva@example.com"]


def test_the_spec_says_what_is_kept(small_spec):
    values = small_spec("tiny")
    values["serving"] = {"capture": {"share": 0.5, "leave_out": ["spent"], "durable": True}}
    assert kept_of(ModelSpec.model_validate(values)) == Kept(0.5, frozenset({"spent"}), True, True)
    values["data"]["id_column"] = "card"
    values["serving"] = {"capture": {"leave_out": ["card"]}}
    assert not kept_of(ModelSpec.model_validate(values)).names_rows


def test_what_is_left_out_has_to_be_there_and_changes_no_digest(small_spec):
    values = small_spec("tiny")
    plain = ModelSpec.model_validate(values)
    values["serving"] = {"capture": {"leave_out": ["spent"], "keep": "30d"}}
    assert ModelSpec.model_validate(values).digest == plain.digest
    values["serving"] = {"capture": {"leave_out": ["spend"]}}
    with pytest.raises(ValueError, match="no request has 'spend'; choose one of waited, spent, plan"):
        ModelSpec.model_validate(values)


def test_the_guide_shows_what_a_spec_takes():
    shown = re.findall(r"(?ms)^```yaml\n(serving:.*?)^```", GUIDE.read_text())
    capture, explore = (Serving.model_validate(yaml.safe_load(each)["serving"]) for each in shown)
    assert (capture.capture.leave_out, explore) == (("email",), Serving())


# ---- killed


@pytest.mark.parametrize(("mode", "seed"), [("durable", 1), ("asynchronous", 2), ("asynchronous", 3)])
def test_what_a_kill_costs(tmp_path, mode, seed):
    url = f"sqlite:///{tmp_path / 'evergreen.db'}"
    Ledger(url).prepare()
    child = subprocess.Popen([sys.executable, CHILD, url, mode], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    time.sleep(random.Random(seed).uniform(0.05, 0.6))
    child.kill()
    acknowledged = child.stdout.read().split()
    child.wait()
    if acknowledged and not acknowledged[-1].endswith(".0"):
        acknowledged.pop()  # cut off in the middle of its name
    stored = set(Traffic(url).window("churn", NOW, END).answers.column("id").to_pylist())
    assert len(acknowledged) > 5
    lost = [place for place, name in enumerate(acknowledged) if name not in stored]
    if mode == "durable":
        assert lost == []
    else:
        # Only the end of what was acknowledged: no earlier group has a hole.
        assert lost == list(range(len(acknowledged) - len(lost), len(acknowledged)))
