"""How many requests a model was asked, minute by minute, and what became of them: monitoring reads it in the store."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from evergreen.errors import EvergreenError
from evergreen.serving.again import keep_on
from evergreen.serving.handles import Problem
from evergreen.store.asked import Asked, Minute

log = logging.getLogger("evergreen.asked")

EVERY_SECONDS = 5.0
_ROUTES = frozenset({"predict", "invocations"})
_INVALID = 422
_MINUTE = timedelta(minutes=1)
# A store that is down for longer costs the counts of the oldest minutes.
_MOST_MINUTES = 600


class Book(Protocol):
    """Where counts are kept; evergreen.store.asked.Requests is."""

    def write(self, process: str, minutes: Sequence[Minute]) -> None:
        """Write what a process counted of some minutes."""


@dataclass
class _Counts:
    """Of one model in one minute."""

    answered: int = 0
    refused: int = 0
    failed: int = 0
    broken: Counter[str] = field(default_factory=Counter)

    def freeze(self) -> Asked:
        return Asked(self.answered, self.refused, self.failed, dict(self.broken))


class Asking:
    """Counts of one process; `clock` says the time (aware, UTC). Counted on the event loop, read by whoever writes."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._minute = self._over = datetime.min.replace(tzinfo=UTC)
        self._counts: dict[str, _Counts] = {}
        self._past: list[Minute] = []

    def count(self, route: str, model: str, status: int, problems: Sequence[Problem] = ()) -> None:
        """One more request that got a status. One that is about no rows of a model (no key, no JSON) counts nowhere."""
        if not model or route not in _ROUTES:
            return
        with self._lock:
            self._turn()
            counts = self._counts.get(model)
            if counts is None:
                counts = self._counts[model] = _Counts()
            if status < 300:
                counts.answered += 1
            elif status >= 500:
                counts.failed += 1
            elif status == _INVALID:
                counts.refused += 1
                counts.broken.update({_name(problem) for problem in problems})

    def take(self) -> list[Minute]:
        """What was counted: minutes that are over, once each, and what there is of the running one."""
        with self._lock:
            self._turn()
            past, self._past = self._past, []
            return [minute for minute in (*past, *self._running()) if minute.counted.requests]

    def _turn(self) -> None:
        """Begin the next minute where the last one is over; a clock that was set back goes on in it."""
        now = self._clock()
        if now >= self._over:
            self._past += self._running()
            self._minute = now.replace(second=0, microsecond=0)
            self._over, self._counts = self._minute + _MINUTE, {}

    def _running(self) -> list[Minute]:
        return [Minute(model, self._minute, counts.freeze()) for model, counts in self._counts.items()]


@dataclass
class AskedWriter:
    """Writes the counts of one process, whose name no other has."""

    asking: Asking
    book: Book
    process: str
    _waiting: dict[tuple[str, datetime], Minute] = field(default_factory=dict)
    _written: dict[tuple[str, datetime], Minute] = field(default_factory=dict)
    _silent: bool = False

    def run(self, stop: threading.Event, seconds: float = EVERY_SECONDS) -> None:
        """Write again and again until `stop` is set, and once more. Nothing that goes wrong ends it."""
        keep_on(self.write, stop, seconds, "asked")

    def write(self) -> bool:
        """Write what changed; False where the store does not answer, and it waits."""
        for minute in self.asking.take():
            self._waiting[minute.model, minute.at] = minute
        changed = [minute for key, minute in self._waiting.items() if self._written.get(key) != minute]
        try:
            self.book.write(self.process, changed)
        except EvergreenError as error:
            if not self._silent:
                log.warning("asked       counts of requests wait for the store: %s", error)
            self._silent, self._waiting = True, dict(list(self._waiting.items())[-_MOST_MINUTES:])
            return False
        self._silent, self._written, self._waiting = False, self._waiting, {}
        return True


def _name(problem: Problem) -> str:
    """As the rule is called. A field that is not the model's is the caller's own text, and is not kept."""
    return "other fields: extra" if problem.rule == "extra" else f"{problem.field}: {problem.rule}"
