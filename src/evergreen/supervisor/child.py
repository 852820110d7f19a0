"""One part as it lives: started, asked how it is, started again when it dies."""

import signal
from collections.abc import Callable, Set

from evergreen.supervisor.part import Part, State, pause_before_start
from evergreen.supervisor.processes import Process, tell

# Whoever has lived for so long died of something new.
STEADY_SECONDS = 60.0
# Who cannot be asked is up when it has got over its first lines.
_SETTLED_SECONDS = 3.0
_LOOK_SECONDS = {State.STARTING: 0.5, State.SILENT: 2.0, State.UP: 5.0}

Spawn = Callable[[Part], Process]


class Child:
    """A part and its process. `since` is when the state began, `begun` when it was started first, by `step`'s clock."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.state, self.since, self.note = State.WAITING, 0.0, ""
        self.process: Process | None = None
        self.was_ready = False
        self.begun: float | None = None
        self.deaths = 0
        self._started = self._look_at = self._start_at = 0.0

    @property
    def pid(self) -> int | None:
        """Of the living process; None where there is none."""
        return None if self.process is None or self.process.poll() is not None else self.process.pid

    def step(self, now: float, ready: Set[str], spawn: Spawn) -> None:
        """Do what is due: notice a death, start, or ask. `ready` are the names of parts that were up once."""
        if self.process is not None and self.process.poll() is not None:
            self._bury(self.process, now)
        elif self._is_due(now, ready):
            self._start(now, spawn)
        elif self.state in _LOOK_SECONDS and now >= self._look_at:
            self._look(now)

    def enter(self, state: State, now: float, note: str = "") -> None:
        """Be in a state; one that it is in already goes on."""
        if state is not self.state or note != self.note:
            self.state, self.since, self.note = state, now, note

    def _is_due(self, now: float, ready: Set[str]) -> bool:
        if self.state is State.WAITING:
            return ready >= set(self.part.after)
        return self.state is State.RESTARTING and now >= self._start_at

    def _start(self, now: float, spawn: Spawn) -> None:
        self.process = spawn(self.part) if self.part.command else None
        self.begun = now if self.begun is None else self.begun
        self._started, self._look_at = now, now + _LOOK_SECONDS[State.STARTING]
        self.enter(State.STARTING, now)

    def _look(self, now: float) -> None:
        if self._works(now):
            self.was_ready = True
            self.enter(State.UP, now)
        elif self.was_ready and self.state is State.UP:
            self.enter(State.SILENT, now)
        self._look_at = now + _LOOK_SECONDS[self.state]

    def _works(self, now: float) -> bool:
        if self.part.once:
            return False
        return now - self._started >= _SETTLED_SECONDS if self.part.answers is None else self.part.answers()

    def _bury(self, process: Process, now: float) -> None:
        code, self.process = process.returncode, None
        # What it started and left behind may hold its port.
        tell(process.pid, signal.SIGKILL, group=True)
        if self.part.once:
            self.was_ready = code == 0 or not self.part.vital
            self.enter(State.DONE if code == 0 else State.FAILED, now, "" if code == 0 else _ending(code))
            return
        self.deaths = 1 if now - self._started >= STEADY_SECONDS else self.deaths + 1
        pause = pause_before_start(self.deaths)
        self._start_at = now + pause
        self.enter(State.RESTARTING, now, f"{_ending(code)}, again in {pause:.0f} s")


def _ending(code: int) -> str:
    """How a process ended.

    >>> _ending(2), _ending(-9)
    ('ended with code 2', 'killed by SIGKILL')
    """
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
