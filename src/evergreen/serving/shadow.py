"""A challenger is asked copies of requests, beside their path: nobody waits for what it says, and nobody sees it."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from time import monotonic, perf_counter
from typing import Protocol

from evergreen.serving.answers import Answered, Said, captured_of
from evergreen.serving.handles import ServedModel
from evergreen.serving.reader import Rows
from evergreen.serving.trial import Trial

log = logging.getLogger("evergreen.shadow")

MOST_COPIES = 1_000
MOST_BYTES = 16_000_000


class Sink(Protocol):
    """Where predictions are captured."""

    def put(self, predictions: Answered, size: int) -> None:
        """Take them, of a request of so many bytes, without waiting for anything."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A request that the champion was asked. `read` gives the challenger's rows of it, or raises; `rows` are the
    champion's own, and `size` is how many bytes they came in, or take where that is more.

    `took_ms` is how long the champion's answer took, None where it failed; `at` is when that was.
    """

    trial: Trial
    champion: ServedModel
    challenger: ServedModel
    rows: Rows
    read: Callable[[], Rows]
    size: int
    request: str
    at: datetime
    took_ms: float | None


class Shadow:
    """A bounded queue of copies, and a thread that asks. What finds no room is dropped, and counted."""

    def __init__(self, sink: Sink | None = None, most: int = MOST_COPIES, most_bytes: int = MOST_BYTES) -> None:
        self._sink, self._most, self._most_bytes = sink, most, most_bytes
        self._waiting: deque[Copy] = deque()
        self._changed = threading.Condition()
        self._bytes = 0
        self._working = False
        self._closing = False
        self._champion_first = False
        self._thread: threading.Thread | None = None

    def put(self, copy: Copy) -> None:
        """Hand over a copy. Never waits, never raises."""
        with self._changed:
            full = len(self._waiting) >= self._most or self._bytes + copy.size > self._most_bytes
            if full or self._closing:
                copy.trial.dropped += 1
                return
            self._waiting.append(copy)
            self._bytes += copy.size
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
                self._thread.start()
            self._changed.notify()

    def settle(self, seconds: float) -> bool:
        """Wait until nothing waits and nobody is asked, for so long at most; False where that was not enough."""
        end = monotonic() + seconds
        with self._changed:
            while self._waiting or self._working:
                if (left := end - monotonic()) <= 0:
                    return False
                self._changed.wait(left)
        return True

    def close(self, seconds: float) -> None:
        """Take no more, and ask what waits, for so long at most. What is left then counts as dropped."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self.settle(seconds)
        with self._changed:
            for copy in self._waiting:
                copy.trial.dropped += 1
            self._waiting.clear()

    def _run(self) -> None:
        while (copy := self._take()) is not None:
            try:
                self._ask(copy)
            except Exception as error:
                # What an error says may hold somebody's features.
                log.error("shadow      %s could not be asked: %s", copy.challenger.title, type(error).__name__)
            finally:
                with self._changed:
                    self._working = False
                    self._bytes -= copy.size
                    self._changed.notify_all()

    def _take(self) -> Copy | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            if not self._waiting:
                return None
            self._working = True
            return self._waiting.popleft()

    def _ask(self, copy: Copy) -> None:
        """Both sides count the request, whatever became of it: what is compared are the same requests."""
        trial, took = copy.trial, copy.took_ms
        answers, seconds = self._time(copy)
        base = 0.0 if took is None else max(took - seconds[0], 0.0)
        if took is None:
            trial.champion.failed()
        else:
            trial.champion.answered(base + seconds[0])
        if isinstance(answers, Exception):
            trial.challenger.failed()
            return
        # What the answer would have taken: the way of the champion's, with the other model in it.
        latency = seconds[1] + base
        trial.challenger.answered(latency)
        if self._sink is not None:
            self._sink.put(captured_of(answers, copy.at, latency), copy.size)

    def _time(self, copy: Copy) -> tuple[Said | Exception, tuple[float, float]]:
        """What the challenger says, and the milliseconds of both models.

        The champion is asked again: only what is timed in the same thread, in turns, is comparable.
        """
        self._champion_first = not self._champion_first
        champion = _champion(copy) if self._champion_first else None
        answers, challenger = _challenger(copy)
        return answers, (_champion(copy) if champion is None else champion, challenger)


def _challenger(copy: Copy) -> tuple[Said | Exception, float]:
    try:
        asked = copy.read()
        began = perf_counter()
        answers = copy.challenger.engine.answer(asked.rows)
        took = (perf_counter() - began) * 1000
        return Said(copy.challenger, copy.request, asked, answers), took
    except Exception as error:
        return error, 0.0


def _champion(copy: Copy) -> float:
    if copy.took_ms is None:
        return 0.0
    began = perf_counter()
    try:
        copy.champion.engine.answer(copy.rows.rows)
    except Exception:
        return 0.0
    return (perf_counter() - began) * 1000
