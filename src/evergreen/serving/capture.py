"""Capture: what was answered goes to the store, in groups, beside the answering."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from evergreen.errors import EvergreenError, RowError, UnavailableError
from evergreen.serving.answers import Answered
from evergreen.serving.batched import Batch, CaptureLimits, CaptureState, Numbers, answer
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


class Capture:
    """A bounded queue, and a thread that takes whatever waits in it and commits it as one group.

    What is handed over comes with the `size` of the request that it was asked in, in bytes.

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
        self._numbers = Numbers()
        self._closing = False
        self._deadline: float | None = None
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._started = False

    def put(self, predictions: Answered, size: int = 0) -> None:
        """Hand over answered rows. Never waits, never raises: where the queue is full they are lost, and counted."""
        self._put(self._rules.choose(predictions), size)

    def has_room(self, rows: int, size: int = 0) -> bool:
        """True where so many more are taken at once. They are taken as a whole, even where they are more than the
        queue has room for, once nothing is before them.
        """
        numbers, limits = self._numbers, self._limits
        fit = numbers.backlog + rows <= limits.queue_rows and numbers.held + size <= limits.queue_bytes
        return fit or numbers.backlog == 0

    async def offer(self, predictions: Answered, size: int = 0) -> None:
        """The same, but where the store is only slower than what comes, wait for room first. Never raises."""
        rows = self._rules.choose(predictions)
        await self._room(len(rows), size)
        self._put(rows, size)

    async def durable(self, predictions: Answered, size: int = 0) -> None:
        """Hand over answered rows, and come back once they are committed.

        Raises UnavailableError where they are not: whoever waits for the answer must not get it then.
        """
        rows = self._rules.choose(predictions)
        if not rows:
            return
        await self._room(len(rows), size)
        loop = asyncio.get_running_loop()
        batch = Batch(rows, self._rules, size, (loop, loop.create_future()))
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

    def _put(self, rows: Answered, size: int) -> None:
        if rows and not self._enqueue(Batch(rows, self._rules, size)):
            self._lose(len(rows), "the queue is full")

    async def _room(self, rows: int, size: int) -> None:
        end = time.monotonic() + self._limits.patience
        # Nobody waits for a store that is down.
        while not (self.has_room(rows, size) or self._numbers.problem or self._closing) and time.monotonic() < end:
            await asyncio.sleep(_LOOK_SECONDS)

    def _enqueue(self, batch: Batch) -> bool:
        numbers, rows = self._numbers, len(batch.rows)
        with self._changed:
            if self._closing or not self.has_room(rows, batch.size):
                return False
            if not self._started:
                self._started = True
                self._thread.start()
            first, due = numbers.backlog == 0, self._is_full()
            numbers.backlog += rows
            numbers.held += batch.size
            self._waiting.append(batch)
            if batch.waits is not None:
                numbers.urgent += 1
            # The thread is woken for the first of a group, the last of it, and whoever waits; not for those between.
            if first or due < self._is_full() or batch.waits is not None:
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
        return self._closing or self._numbers.urgent > 0 or self._is_full()

    def _is_full(self) -> bool:
        """True where a group need not wait for more."""
        numbers, limits = self._numbers, self._limits
        return numbers.backlog >= limits.group_rows or numbers.held >= limits.group_bytes

    def _take_rows(self) -> list[Batch]:
        taken: list[Batch] = []
        rows = size = 0
        while self._waiting:
            following, limits = self._waiting[0], self._limits
            rows, size = rows + len(following.rows), size + following.size
            if taken and (rows > limits.group_rows or size > limits.group_bytes):
                break
            taken.append(self._waiting.popleft())
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
            self._release(batches)
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
            self._release(told)
        answer(told, UnavailableError(f"the prediction cannot be kept: {why}"))
        return [batch for batch in batches if batch.waits is None]

    def _release(self, batches: list[Batch]) -> None:
        """They wait no more."""
        self._numbers.backlog -= sum(len(batch.rows) for batch in batches)
        self._numbers.held -= sum(batch.size for batch in batches)

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
            self._release(batches)
        self._lose(len(batches[0].rows), f"they cannot be written ({type(error).__name__})")
        answer(batches, UnavailableError("the prediction cannot be kept; the log of the server says why"))
