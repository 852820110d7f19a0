"""Rows that wait while the model computes go into its next call together. No timer: who is alone never waits."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import NamedTuple

from evergreen.serving.handles import Answers, Row, ServedModel
from evergreen.serving.refused import busy

# A call that is shorter than this costs less on the event loop than its way to a thread and back, measured in CPU; and
# nobody notices that the loop was away for so long.
INLINE_SECONDS = 0.002

Outcome = Answers | Exception
Observer = Callable[[int, int, float], None]
"""Told of every call: its rows, the requests they came from, and how many seconds it took."""


@dataclass(slots=True)
class _Job:
    model: ServedModel
    rows: Sequence[Row]
    future: "asyncio.Future[Answers]"


class _Called(NamedTuple):
    """What became of each job of a call, and how long it took."""

    outcomes: list[Outcome]
    seconds: float


class _Pace(NamedTuple):
    """The quickest call of an artifact, and the quickest row: a call costs something however few rows it has."""

    call: float
    row: float

    def expect(self, rows: int) -> float:
        """Seconds that a call of so many rows takes at least."""
        return max(self.call, self.row * rows)


class Lane:
    """A queue of validated rows before a model, all on one event loop.

    A call takes the requests that wait for the same version, up to `most_rows` rows. If it fails they are asked one by
    one, so that only the guilty fails. Calls that should be short are made on the event loop, which has a turn between
    two of them, others in a thread of `executor`, one call at a time either way.
    """

    def __init__(self, executor: Executor, most_rows: int, queue_rows: int, observe: Observer) -> None:
        self._executor, self._most, self._queue = executor, most_rows, queue_rows
        self._observe = observe
        self._waiting: deque[_Job] = deque()
        self._rows = 0
        self._working = False
        self._paces: dict[str, _Pace] = {}

    @property
    def rows_waiting(self) -> int:
        """Rows that are queued or being computed."""
        return self._rows

    async def answer(self, model: ServedModel, rows: Sequence[Row]) -> Answers:
        """The answers of this very version. Raises Refused where the queue is full, else what the model raises."""
        if self._rows + len(rows) > self._queue:
            raise busy("too many rows are waiting")
        loop = asyncio.get_running_loop()
        job = _Job(model, rows, loop.create_future())
        self._waiting.append(job)
        self._rows += len(rows)
        if not self._working:
            # Requests that arrived in the same turn of the loop are read first, and come along.
            self._working = True
            loop.call_soon(self._work, loop)
        return await job.future

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._waiting:
            self._working = False
            return
        jobs = self._take()
        if self._expect(jobs) > INLINE_SECONDS:
            called = loop.run_in_executor(self._executor, _call, jobs)
            called.add_done_callback(partial(self._come_back, loop, jobs))
            return
        self._settle(jobs, _call(jobs))
        if self._waiting:
            loop.call_soon(self._work, loop)
        else:
            self._working = False

    def _expect(self, jobs: list[_Job]) -> float:
        pace = self._paces.get(jobs[0].model.digest)
        return 0.0 if pace is None else pace.expect(sum(len(job.rows) for job in jobs))

    def _come_back(self, loop: asyncio.AbstractEventLoop, jobs: list[_Job], called: "asyncio.Future[_Called]") -> None:
        self._settle(jobs, called.result())
        self._work(loop)

    def _take(self) -> list[_Job]:
        """The next call: whoever waits longest, and those behind who want the same version."""
        waiting, first = self._waiting, self._waiting.popleft()
        jobs, rows = [first], len(first.rows)
        while waiting and waiting[0].model is first.model and rows + len(waiting[0].rows) <= self._most:
            rows += len(waiting[0].rows)
            jobs.append(waiting.popleft())
        return jobs

    def _settle(self, jobs: list[_Job], called: "_Called") -> None:
        rows = sum(len(job.rows) for job in jobs)
        self._rows -= rows
        self._remember(jobs[0].model.digest, rows, called.seconds)
        self._observe(rows, len(jobs), called.seconds)
        for job, outcome in zip(jobs, called.outcomes, strict=True):
            if job.future.done():
                continue
            if isinstance(outcome, Exception):
                job.future.set_exception(outcome)
            else:
                job.future.set_result(outcome)

    def _remember(self, digest: str, rows: int, seconds: float) -> None:
        """How long the quicker calls of an artifact take: on a busy machine any call may take long."""
        if len(self._paces) > 16:
            # Those of versions that do not come back.
            self._paces.clear()
        new, before = _Pace(seconds, seconds / max(rows, 1)), self._paces.get(digest)
        if before is not None:
            new = _Pace(min(new.call, before.call * 1.1), min(new.row, before.row * 1.1))
        self._paces[digest] = new


class Lanes:
    """A lane for each model, which `make` makes: no model waits in another's queue, or for its thread."""

    def __init__(self, make: Callable[[], Lane]) -> None:
        self._make = make
        self._lanes: dict[str, Lane] = {}

    @property
    def rows_waiting(self) -> int:
        """Rows that are queued or being computed, of all models; for any thread."""
        return sum(lane.rows_waiting for lane in list(self._lanes.values()))

    async def answer(self, model: ServedModel, rows: Sequence[Row]) -> Answers:
        """As `Lane.answer`, in the lane of the model, whichever version it is."""
        lane = self._lanes.get(model.model)
        if lane is None:
            lane = self._lanes[model.model] = self._make()
        return await lane.answer(model, rows)


def _call(jobs: list[_Job]) -> _Called:
    """What becomes of every job, and how long that took."""
    began = perf_counter()
    return _Called(_answer_all(jobs), perf_counter() - began)


def _answer_all(jobs: list[_Job]) -> list[Outcome]:
    engine = jobs[0].model.engine
    if len(jobs) == 1:
        return [_answer_one(jobs[0])]
    try:
        joint = engine.answer([row for job in jobs for row in job.rows])
    except Exception:
        return [_answer_one(job) for job in jobs]
    return _parts(joint, jobs)


def _answer_one(job: _Job) -> Outcome:
    try:
        return job.model.engine.answer(job.rows)
    except Exception as error:
        return error


def _parts(joint: Answers, jobs: list[_Job]) -> list[Outcome]:
    parts: list[Outcome] = []
    start, probabilities = 0, joint.probabilities
    for job in jobs:
        end = start + len(job.rows)
        own = None if probabilities is None else probabilities[start:end]
        parts.append(Answers(joint.predictions[start:end], own, joint.classes))
        start = end
    return parts
