"""Rows that wait are joined, those of one version only, and nobody fails for somebody else."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.serving import batch
from evergreen.serving.batch import Lane, Lanes
from evergreen.serving.handles import Answers, ServedModel
from evergreen.serving.limits import Limits
from evergreen.serving.refused import Refused
from evergreen.serving.scheduler import Scheduler


class Echo:
    """Answers every row with itself; one of -1 is fatal."""

    name, why = "echo", ""

    def __init__(self):
        self.calls = []

    def answer(self, rows):
        self.calls.append([row[0] for row in rows])
        if any(row[0] == -1 for row in rows):
            raise ValueError("fatal")
        return Answers([row[0] for row in rows], np.array([[row[0], 1 - row[0]] for row in rows]), ("a", "b"))


def model(version=1):
    return ServedModel("echo", version, f"digest {version}", "classification", (), Echo())


def work(ask, most_rows=8, queue_rows=1000):
    """Run requests through a lane."""
    calls = []
    with ThreadPoolExecutor(1) as threads:
        lane = Lane(threads, most_rows, queue_rows, lambda *call: calls.append(call[:2]))

        async def run():
            return await asyncio.gather(*ask(lane), return_exceptions=True)

        return asyncio.run(run()), calls, lane


@pytest.fixture(params=["on the loop", "in a thread"])
def anywhere(request, monkeypatch):
    """Models are called on the event loop, or all of them in a thread after the first time."""
    if request.param == "in a thread":
        monkeypatch.setattr(batch, "INLINE_SECONDS", -1.0)


def test_requests_that_come_together_are_one_call(anywhere):
    one = model()
    answers, calls, lane = work(lambda lane: [lane.answer(one, [(i,)]) for i in range(5)])
    assert [a.predictions for a in answers] == [[0], [1], [2], [3], [4]]
    assert [a.probabilities.tolist() for a in answers][:2] == [[[0, 1]], [[1, 0]]]
    assert one.engine.calls == [[0, 1, 2, 3, 4]]
    assert calls == [(5, 5)]
    assert lane.rows_waiting == 0


def test_a_call_has_at_most_so_many_rows(anywhere):
    one = model()
    work(lambda lane: [lane.answer(one, [(i,), (i,), (i,)]) for i in range(5)], most_rows=8)
    assert [len(call) for call in one.engine.calls] == [6, 6, 3]


def test_only_the_guilty_fails(anywhere):
    one = model()
    answers, _, lane = work(lambda lane: [lane.answer(one, [(i,)]) for i in (1, -1, 2)])
    assert [answers[0].predictions, answers[2].predictions] == [[1], [2]]
    assert isinstance(answers[1], ValueError)
    assert lane.rows_waiting == 0


def test_versions_share_no_call(anywhere):
    old, new = model(1), model(2)
    answers, _, _ = work(lambda lane: [lane.answer(m, [(i,)]) for i, m in enumerate((old, old, new, old, new))])
    assert [a.predictions for a in answers] == [[0], [1], [2], [3], [4]]
    assert [sorted(chain(*m.engine.calls)) for m in (old, new)] == [[0, 1, 3], [2, 4]]


def test_what_waits_while_a_call_runs_is_the_next_call(monkeypatch):
    monkeypatch.setattr(batch, "INLINE_SECONDS", -1.0)
    one = model()

    def ask(lane):
        async def late(i):
            # The first call is in its thread by then, or over; either way these two wait for each other only.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            return await lane.answer(one, [(i,)])

        return [lane.answer(one, [(0,)]), late(1), late(2)]

    work(ask)
    assert one.engine.calls == [[0], [1, 2]]


def test_a_full_queue_refuses_and_recovers(anywhere):
    one = model()
    answers, _, lane = work(lambda lane: [lane.answer(one, [(i,), (i,)]) for i in range(4)], queue_rows=5)
    refused = [a for a in answers if isinstance(a, Refused)]
    assert [(a.status, a.kind) for a in refused] == [(503, "busy")] * 2
    assert dict(refused[0].headers)[b"retry-after"] == b"1"
    assert lane.rows_waiting == 0


class Slow(Echo):
    """Takes a millisecond for a call and one for each row, by a clock of its own."""

    now = 0.0

    def __init__(self):
        super().__init__()
        self.threads = []

    def answer(self, rows):
        Slow.now += 0.001 * (1 + len(rows))
        self.threads.append((len(rows), threading.current_thread() is threading.main_thread()))
        return super().answer(rows)


def test_a_large_call_of_what_is_quick_alone_is_not_made_on_the_loop(monkeypatch):
    monkeypatch.setattr(batch, "perf_counter", lambda: Slow.now)
    monkeypatch.setattr(batch, "INLINE_SECONDS", 0.0025)
    one = replace(model(), engine=Slow())

    def ask(lane):
        async def in_turn():
            for count in (1, 1, 8, 1, 8):
                await lane.answer(one, [(i,) for i in range(count)])

        return [in_turn()]

    work(ask)
    assert one.engine.threads == [(1, True), (1, True), (8, False), (1, True), (8, False)]


class Held:
    """A large request whose reading takes until it is let go."""

    large = True

    def __init__(self):
        self.began, self.free = threading.Event(), threading.Event()

    def read(self, limits):
        self.began.set()
        self.free.wait(60)


def test_what_still_holds_the_thread_counts_though_nobody_waits_for_it():
    held = Held()

    async def ask(scheduler):
        first = asyncio.create_task(scheduler.read(held))
        await asyncio.to_thread(held.began.wait, 60)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        with pytest.raises(Refused):
            await asyncio.wait_for(scheduler.read(held), 5)
        held.free.set()

    with ThreadPoolExecutor(1) as pool:
        scheduler = Scheduler(None, pool, Limits(batches=1), None)
        try:
            asyncio.run(ask(scheduler))
            # The thread comes to this after it has said that it is done with what it held.
            pool.submit(int).result()
            asyncio.run(scheduler.read(held))
        finally:
            held.free.set()


def test_the_loop_has_a_turn_between_two_calls():
    one, seen = model(), []

    def ask(lane):
        async def look():
            while len(one.engine.calls) < 5:
                seen.append(len(one.engine.calls))
                await asyncio.sleep(0)

        return [*(lane.answer(one, [(i,)]) for i in range(5)), look()]

    work(ask, most_rows=1)
    assert set(seen) >= {1, 2, 3, 4}


def test_no_model_waits_in_the_queue_of_another(monkeypatch):
    monkeypatch.setattr(batch, "INLINE_SECONDS", -1.0)
    free, began = threading.Event(), threading.Event()

    class Stuck(Echo):
        def answer(self, rows):
            began.set()
            assert free.wait(20)
            return super().answer(rows)

    stuck, quick = replace(model(), model="stuck", engine=Stuck()), model()
    executors = []

    def lane():
        executors.append(ThreadPoolExecutor(1))
        return Lane(executors[-1], 8, 3, lambda *_: None)

    async def run():
        lanes = Lanes(lane)
        waits = [asyncio.ensure_future(lanes.answer(stuck, [(0,), (1,)])) for _ in range(2)]
        await asyncio.to_thread(began.wait, 20)
        answers = await asyncio.wait_for(asyncio.gather(*(lanes.answer(quick, [(i,)]) for i in range(3))), 20)
        waiting = lanes.rows_waiting
        free.set()
        return answers, waiting, await asyncio.gather(*waits, return_exceptions=True)

    answers, waiting, (first, second) = asyncio.run(run())
    for executor in executors:
        executor.shutdown()
    assert [answer.predictions for answer in answers] == [[0], [1], [2]]
    assert quick.engine.calls == [[0, 1, 2]]
    assert (waiting, first.predictions) == (2, [0, 1])
    assert isinstance(second, Refused)


def test_who_left_does_not_stop_the_others(anywhere):
    one = model()

    def ask(lane):
        gone = asyncio.ensure_future(lane.answer(one, [(1,)]))
        asyncio.get_running_loop().call_soon(gone.cancel)
        return [gone, lane.answer(one, [(2,)])]

    answers, _, lane = work(ask)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert answers[1].predictions == [2]
    assert lane.rows_waiting == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.lists(st.integers(-1, 9), min_size=1, max_size=4)), max_size=20))
def test_every_request_gets_its_own_answer_whatever_comes_with_it(requests):
    models = [model(1), model(2)]
    answers, calls, lane = work(
        lambda lane: [lane.answer(models[which], [(value,) for value in values]) for which, values in requests]
    )
    for (_, values), answer in zip(requests, answers, strict=True):
        if -1 in values:
            assert isinstance(answer, ValueError)
        else:
            assert answer.predictions == values
    assert sum(rows for rows, _ in calls) == sum(len(values) for _, values in requests)
    assert lane.rows_waiting == 0


def test_an_engine_may_answer_without_probabilities():
    class Plain(Echo):
        def answer(self, rows):
            return replace(super().answer(rows), probabilities=None, classes=())

    one = replace(model(), engine=Plain())
    answers, _, _ = work(lambda lane: [lane.answer(one, [(i,)]) for i in range(3)])
    assert [(a.predictions, a.probabilities) for a in answers] == [([0], None), ([1], None), ([2], None)]
