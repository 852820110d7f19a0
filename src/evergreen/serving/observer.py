"""What is counted of trials goes to the store, again and again: totals, so that a store that is down loses nothing."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from evergreen.errors import EvergreenError
from evergreen.evaluation.totals import Totals
from evergreen.gate.canary import Side
from evergreen.serving.again import keep_on
from evergreen.serving.trial import Trials
from evergreen.store.canary import Canary

log = logging.getLogger("evergreen.observer")

EVERY_SECONDS = 3.0


class Book(Protocol):
    """Where totals are kept; evergreen.store.canary.Canaries is."""

    def observe(self, decision_id: int, arm: str, process: str, totals: Totals, at: datetime) -> None:
        """Write what a process has counted of one side; the newest counts."""

    def watched(self, now: datetime) -> Sequence[Canary]:
        """Trials whose promotion is watched still."""


@dataclass
class Observer:
    """Writes the totals of one process, whose name no other has, and learns which promotions are watched."""

    trials: Trials
    book: Book
    process: str
    clock: Callable[[], datetime]
    _written: dict[tuple[int, Side], Totals] = field(default_factory=dict)
    _silent: bool = False

    def run(self, stop: threading.Event, seconds: float = EVERY_SECONDS) -> None:
        """Look again and again until `stop` is set, and once more. Nothing that goes wrong ends it."""
        keep_on(self.look, stop, seconds, "canary")

    def look(self) -> bool:
        """Write what changed, and ask who is watched; False where the store does not answer."""
        try:
            for (decision, side), totals in self._changed():
                self.book.observe(decision, side, self.process, totals, self.clock())
                self._written[decision, side] = totals
            watched = self.book.watched(self.clock())
        except EvergreenError as error:
            if not self._silent:
                log.warning("canary      what is counted waits for the store: %s", error)
            self._silent = True
            return False
        self._silent = False
        self.trials.watch({(trial.model, trial.challenger): trial.decision_id for trial in watched})
        return True

    def _changed(self) -> Iterator[tuple[tuple[int, Side], Totals]]:
        for key, totals in self._counted():
            if totals.requests and totals != self._written.get(key):
                yield key, totals

    def _counted(self) -> Iterator[tuple[tuple[int, Side], Totals]]:
        for trial in self.trials.seen:
            yield (trial.decision, Side.CHAMPION), trial.champion.totals
            yield (trial.decision, Side.CHALLENGER), trial.challenger.totals
        for decision, counted in self.trials.watched:
            yield (decision, Side.WATCHED), counted.totals
