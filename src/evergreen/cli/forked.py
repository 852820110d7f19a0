"""Several processes that share a socket, as copies of one that has everything loaded."""

import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from evergreen.errors import EvergreenError

log = logging.getLogger("evergreen.serve")

# A copy that dies is replaced, unless copies die as fast as they are made.
_MOST_DEATHS = 10
_WITHIN_SECONDS = 60.0
_STOPS = (signal.SIGTERM, signal.SIGINT)


def run_forked(count: int, work: Callable[[], None]) -> None:
    """Do the work in so many copies of this process until it is told to stop; what dies is replaced.

    This process must have no threads yet. Raises EvergreenError where copies keep dying.
    """
    family = _Family(work)
    stops = {number: signal.signal(number, family.stop) for number in _STOPS}
    try:
        for _ in range(count):
            family.fork()
        family.wait()
    finally:
        for number, handler in stops.items():
            signal.signal(number, handler)


class _Family:
    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._children: set[int] = set()
        self._deaths: list[float] = []
        self._stopping = False

    def stop(self, *_: Any) -> None:
        """Tell every copy to end in order."""
        self._stopping = True
        for child in self._children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)

    def fork(self) -> None:
        """Make one more copy, which never returns from here; none where it was said to stop meanwhile."""
        # A request to stop that comes now waits until the copy is known, as it is passed on to those that are.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
        try:
            child = 0 if self._stopping else os.fork()
            if child:
                self._children.add(child)
            elif not self._stopping:
                self._live(before)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _live(self, mask: set[int | signal.Signals]) -> None:
        """What a copy does, from its first breath to its last."""
        code = 1
        try:
            for number in _STOPS:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            self._work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def wait(self) -> None:
        """Until the last copy has ended."""
        while self._children:
            child, status = os.waitpid(-1, 0)
            self._children.discard(child)
            if self._stopping:
                continue
            log.error("serve       process %d ended (%s); another takes its place", child, status)
            self._deaths = [died for died in self._deaths if died > time.monotonic() - _WITHIN_SECONDS]
            self._deaths.append(time.monotonic())
            if len(self._deaths) > _MOST_DEATHS:
                self.stop()
                raise EvergreenError("serving processes end as soon as they start; the lines above say why")
            self.fork()
