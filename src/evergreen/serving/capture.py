"""Capture: what was answered goes to the store, in groups, beside the answering."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from evergreen.errors import EvergreenError, RowError, UnavailableError
from evergreen.serving.answers import Answered
from evergreen.serving.batched import Batch, CaptureLimits, answer
from evergreen.serving.handles import Prediction
from evergreen.serving.kept import KEEP_ALL, Kept, Rules
from evergreen.store.block import Block

log = logging.getLogger("evergreen.capture")

_LOOK_SECONDS = 0.02


class Writer(Protocol):
    """What writes a group; evergreen.store.traffic_writer.TrafficWriter does."""

    def write(self, rows: Sequence[Prediction | Block], now: datetime) -> object:
        """Write all of them or none. Raises RowError where one of them can never be written; whatever else it raises,
        the same rows are given again.
        """

    def close(self) -> None:
        """Let go of the store."""


@dataclass(frozen=True)
class CaptureState:
    """For metrics and /ready: rows that wait, were written and were lost, and the last commit; `problem` is why the
    store could not be written when that was last tried, None while all is well.
    """

    backlog: int
    written: int
    lost: int
    groups: int
    last_commit: datetime | None
    problem: str | None


@dataclass
class _Numbers:
    backlog: int = 0
    written: int = 0
    lost: int = 0
    groups: int = 0
    last_commit: datetime | None = None
    problem: str | None = None
    retry_at: float = 0.0
    pause: float = 0.0
    urgent: int = 0


class Capture:
    """A bounded queue, and a thread that takes whatever waits in it and commits it as one group.

    `rules` say by model what is kept; a model without rules is kept whole. `clock` dates the groups.
    """

    def __init__(
        self,
        writer: Writer,
        clock: Callable[[], datetime],
        rules: Mapping[str, Kept] | None = None,
        limits: CaptureLimits = CaptureLimits(),  # noqa: B008 - frozen
    ) -> None:
        self._writer, self._clock, self._rules, self._limits = writer, clock, Rules(dict(rules or {})), limits
        self._waiting: deque[Batch] = deque()
        self._changed = threading.Condition()
        self._numbers = _Numbers()
        self._closing = False
        self._deadline: float | None = None
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._started = False

    def put(self, predictions: Answered) -> None:
        """Hand over answered rows. Never waits, never raises: where the queue is full they are lost, and counted."""
        self._put(self._rules.choose(predictions))

    def has_room(self, rows: int) -> bool:
        """True where so many more are taken at once."""
        return self._fits(rows)

    async def offer(self, predictions: Answered) -> None:
        """The same, but where the store is only slower than what comes, wait for room first. Never raises."""
        rows = self._rules.choose(predictions)
        await self._room(len(rows))
        self._put(rows)

    async def durable(self, predictions: Answered) -> None:
        """Hand over answered rows, and come back once they are committed.

        Raises UnavailableError where they are not: whoever waits for the answer must not get it then.
        """
        rows = self._rules.choose(predictions)
        if not rows:
            return
        await self._room(len(rows))
        loop = asyncio.get_running_loop()
        batch = Batch(rows, self._rules, (loop, loop.create_future()))
        if (problem := self._refusal()) or not self._enqueue(batch):
            raise UnavailableError(f"the prediction cannot be kept: {problem or 'too many wait already'}; try again")
        assert batch.waits is not None
        await batch.waits[1]

    def is_durable(self, model: str) -> bool:
        """True where answers of this model wait for the store."""
        return self._rules.models.get(model, KEEP_ALL).durable

    def follow(self, model: str, kept: Kept, version: int | None = None) -> None:
        """Keep a model's answers by these rules from now on; those of another version by the ones it came with."""
        self._rules = self._rules.follow(model, kept, version)

    @property
    def state(self) -> CaptureState:
        """How things are."""
        with self._changed:
            n = self._numbers
            return CaptureState(n.backlog, n.written, n.lost, n.groups, n.last_commit, n.problem)

    def close(self, timeout: float) -> int:
        """Write what waits, for so many seconds at most, and stop; how many rows were lost in the end.

        The store is asked once more where it did not answer.
        """
        with self._changed:
            self._closing, self._deadline = True, time.monotonic() + timeout
            self._changed.notify()
        if self._started:
            self._thread.join(timeout)
        with self._changed:
            left = list(self._waiting)
            self._waiting.clear()
            rows = self._numbers.backlog
        answer(left, UnavailableError("the prediction cannot be kept: the server stops; try again"))
        if rows:
            self._lose(rows, "the server stopped before the store took them")
        return rows

    def _put(self, rows: Answered) -> None:
        if rows and not self._enqueue(Batch(rows, self._rules)):
            self._lose(len(rows), "the queue is full")

    async def _room(self, rows: int) -> None:
        if self._fits(rows):
            return
        end = time.monotonic() + self._limits.patience
        # Nobody waits for a store that is down.
        while not self._fits(rows) and self._numbers.problem is None and not self._closing and time.monotonic() < end:
            await asyncio.sleep(_LOOK_SECONDS)

    def _fits(self, rows: int) -> bool:
        """A request is taken as a whole, also one that is larger than the queue, once nothing is before it."""
        backlog = self._numbers.backlog
        return backlog == 0 or backlog + rows <= self._limits.queue_rows

    def _enqueue(self, batch: Batch) -> bool:
        numbers, rows = self._numbers, len(batch.rows)
        with self._changed:
            if self._closing or not self._fits(rows):
                return False
            if not self._started:
                self._started = True
                self._thread.start()
            before = numbers.backlog
            numbers.backlog += rows
            self._waiting.append(batch)
            if batch.waits is not None:
                numbers.urgent += 1
            # The thread is woken for the first of a group, the last of it, and whoever waits; not for those between.
            full = before < self._limits.group_rows <= numbers.backlog
            if before == 0 or full or batch.waits is not None:
                self._changed.notify()
        return True

    def _refusal(self) -> str | None:
        """Why nobody should begin to wait: the store has just failed, and is not yet tried again."""
        numbers = self._numbers
        return numbers.problem if time.monotonic() < numbers.retry_at else None

    def _lose(self, rows: int, why: str) -> None:
        with self._changed:
            first = self._numbers.lost == 0
            self._numbers.lost += rows
        if first:
            log.error("capture: %d predictions are lost, as %s; later ones are only counted", rows, why)

    def _run(self) -> None:
        try:
            while batches := self._take():
                self._write(batches)
        finally:
            self._writer.close()

    def _take(self) -> list[Batch]:
        """The next group, once there is one; nothing where capture is closed and all is written."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            end = time.monotonic() + self._limits.linger
            while not self._is_due() and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)
            return [] if self._is_late() else self._take_rows()

    def _is_due(self) -> bool:
        numbers = self._numbers
        return self._closing or numbers.urgent > 0 or numbers.backlog >= self._limits.group_rows

    def _take_rows(self) -> list[Batch]:
        taken: list[Batch] = []
        rows = 0
        while self._waiting and (not taken or rows + len(self._waiting[0].rows) <= self._limits.group_rows):
            taken.append(self._waiting.popleft())
            rows += len(taken[-1].rows)
            self._numbers.urgent -= taken[-1].waits is not None
        return taken

    def _write(self, batches: list[Batch]) -> None:
        """Commit a group. While the store does not answer, those who wait are told, and the rest is tried again."""
        while batches:
            try:
                self._commit(batches)
                return
            except RowError as error:
                log.exception("capture: a group of %d requests cannot be written", len(batches))
                self._set_aside(batches, error)
                return
            except Exception as error:
                # Whatever is wrong with the store, the rows are not: they wait until somebody has put it right.
                batches = self._tell(batches, error)
                if not batches or not self._pause():
                    return

    def _commit(self, batches: list[Batch]) -> None:
        now, rows = self._clock(), sum(len(batch.rows) for batch in batches)
        self._writer.write([part for batch in batches for part in batch.rules.strip(batch.rows)], now)
        with self._changed:
            numbers = self._numbers
            numbers.backlog -= rows
            numbers.written += rows
            numbers.groups += 1
            if numbers.problem is not None:
                log.warning("capture: the store takes predictions again; %d wait for it", numbers.backlog)
            numbers.last_commit, numbers.problem, numbers.retry_at, numbers.pause = now, None, 0.0, 0.0
        answer(batches, None)

    def _tell(self, batches: list[Batch], error: Exception) -> list[Batch]:
        """Tell everybody who waits, in this group and behind it, that the store failed; what is left of the group."""
        numbers, limits = self._numbers, self._limits
        why = str(error) if isinstance(error, EvergreenError) else f"{type(error).__name__}: {error}"
        with self._changed:
            if numbers.problem is None:
                log.error("capture: %s; predictions wait for it", why)
            numbers.problem = why
            numbers.pause = min(limits.longest_pause, numbers.pause * 2 or limits.first_pause)
            numbers.retry_at = time.monotonic() + numbers.pause
            told = [batch for batch in (*batches, *self._waiting) if batch.waits is not None]
            self._waiting = deque(batch for batch in self._waiting if batch.waits is None)
            numbers.urgent = 0
            numbers.backlog -= sum(len(batch.rows) for batch in told)
        answer(told, UnavailableError(f"the prediction cannot be kept: {why}"))
        return [batch for batch in batches if batch.waits is None]

    def _pause(self) -> bool:
        """Wait until the store is to be tried again; False where there is no time left to."""
        with self._changed:
            while (left := self._until() - time.monotonic()) > 0:
                self._changed.wait(left)
            return not self._is_late()

    def _is_late(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline

    def _until(self) -> float:
        return self._numbers.retry_at if self._deadline is None else min(self._numbers.retry_at, self._deadline)

    def _set_aside(self, batches: list[Batch], error: Exception) -> None:
        """A row that cannot be written takes nobody else's with it."""
        if len(batches) > 1:
            for batch in batches:
                self._write([batch])
            return
        with self._changed:
            self._numbers.backlog -= len(batches[0].rows)
        self._lose(len(batches[0].rows), f"they cannot be written ({type(error).__name__})")
        answer(batches, UnavailableError("the prediction cannot be kept; the log of the server says why"))
