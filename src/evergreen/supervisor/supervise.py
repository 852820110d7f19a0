"""All parts together: started in order, watched, stopped in reverse."""

import signal
import subprocess
from collections.abc import Callable, Iterable, Set
from contextlib import suppress
from dataclasses import dataclass

from evergreen.errors import UnavailableError
from evergreen.supervisor.child import Child
from evergreen.supervisor.guard import start_guard
from evergreen.supervisor.launch import Launch
from evergreen.supervisor.logs import bound_log, last_lines
from evergreen.supervisor.part import Part, State
from evergreen.supervisor.processes import Clock, Marked, Process, Wait, end, marked_processes, tell

# Deaths before a part was ever up: more of the same is no use.
_TRIES = 3
_HURRIED_SECONDS = 1.0
_REAP_SECONDS = 5.0

Report = Callable[[Child], None]
Say = Callable[[str], None]
Settle = Callable[[Set[str]], None]


@dataclass(frozen=True)
class Haste:
    """How long flow runs may take to close; `hurried` says whether somebody does not want to wait any more."""

    grace_seconds: float = 30.0
    hurried: Callable[[], bool] = lambda: False

    def of(self, seconds: float) -> Callable[[], float]:
        """What is left of a patience, asked again and again."""
        return lambda: min(seconds, _HURRIED_SECONDS) if self.hurried() else seconds


class Supervisor:
    """Parts and their processes. Whoever has one calls `step` often, and `stop` once."""

    def __init__(self, parts: Iterable[Part], launch: Launch, clock: Clock, wait: Wait, report: Report) -> None:
        self.children = tuple(map(Child, parts))
        self._launch, self._clock, self._wait, self._report = launch, clock, wait, report
        self._guard: Process | None = None

    @property
    def ready(self) -> bool:
        """True once every part was up, or done."""
        return all(child.was_ready for child in self.children)

    def step(self) -> None:
        """Look after every part once."""
        if self._guard is None or self._guard.poll() is not None:
            self._guard = start_guard(self._launch.mark, self._launch.environment)
        for child in self.children:
            before = (child.state, child.note)
            ready = {other.part.name for other in self.children if other.was_ready}
            child.step(self._clock(), ready, self._launch.spawn)
            if (child.state, child.note) != before:
                self._report(child)

    def bound_logs(self) -> None:
        """Keep logs of children that live for months from filling the disk."""
        for child in self.children:
            bound_log(self._launch.log(child.part))

    def require_start(self, within_seconds: float) -> None:
        """Raise UnavailableError, with the end of its log, where a part does not get up."""
        for child in self.children:
            late = child.begun is not None and self._clock() - child.begun > within_seconds
            stuck = not child.was_ready and (late or child.deaths >= _TRIES)
            if stuck or (child.state is State.FAILED and child.part.vital):
                raise UnavailableError(self._complaint(child, within_seconds))

    def _complaint(self, child: Child, within_seconds: float) -> str:
        part = child.part
        if not part.command:
            return f"{part.name} at {part.address} does not answer; start it, or name another in the environment"
        what = child.note.partition(",")[0] or f"no answer within {within_seconds:.0f} s"
        log = self._launch.log(part)
        said = "\n".join(f"  {line}" for line in last_lines(log))
        return f"{part.name} does not start: {what}; the end of {log}:\n{said}"

    def stop(self, haste: Haste, say: Say, settle: Settle) -> None:
        """End every part, the last of the table first, and whatever they left behind.

        `settle` is called with the ids of flow runs that were ended, while the server that knows them still runs.
        """
        for child in reversed(self.children):
            if child.process is not None:
                self._enter(child, State.STOPPING)
            # Also where the worker is dead just now: its runs live on.
            if child.part.runs_flows and (runs := self._close_flows(child.process, haste, say)):
                settle(runs)
            if child.process is not None:
                self._end(child.process, haste.of(child.part.patience_seconds))
                child.process = None
                self._enter(child, State.STOPPED)
        end(lambda: [found.pid for found in self._ours()], haste.of(_REAP_SECONDS), self._clock, self._wait)
        if self._guard is not None:
            self._guard.kill()
            self._guard.wait()
            self._guard = None

    def _enter(self, child: Child, state: State) -> None:
        child.enter(state, self._clock())
        self._report(child)

    def _close_flows(self, worker: Process | None, haste: Haste, say: Say) -> frozenset[str]:
        """Let flow runs end by themselves before their worker does, which would kill them in the middle; their ids."""
        # A worker that is held still takes no new run meanwhile; its pipes hold what the runs still say.
        if worker is not None:
            tell(worker.pid, signal.SIGSTOP)
        seen: dict[int, str] = {}

        def living() -> list[int]:
            runs = {run.pid: run.flow_run for run in self._ours() if run.flow_run and run.leads}
            seen.update(runs)
            return list(runs)

        if found := living():
            ids = ", ".join(map(str, found))
            say(f"flow runs in process {ids} are to close within {haste.grace_seconds:.0f} s; Ctrl-C kills them")
        closed = end(living, haste.of(haste.grace_seconds), self._clock, self._wait)
        for pid in seen:
            tell(pid, signal.SIGKILL, group=True)
        if seen:
            say("flow runs have closed" if closed else "flow runs were killed")
        return frozenset(seen.values())

    def _end(self, process: Process, patience: Callable[[], float]) -> None:
        tell(process.pid, signal.SIGTERM)
        tell(process.pid, signal.SIGCONT)
        told = self._clock()
        while process.poll() is None and self._clock() - told < patience():
            self._wait(0.1)
        # Its group holds what it started and did not end.
        tell(process.pid, signal.SIGKILL, group=True)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_REAP_SECONDS)

    def _ours(self) -> list[Marked]:
        return [found for found in marked_processes() if found.mark == self._launch.mark]
