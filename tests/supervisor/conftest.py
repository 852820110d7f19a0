"""Tiny children: real processes of a few lines each."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evergreen.supervisor.child import Child
from evergreen.supervisor.launch import Launch, mark_of
from evergreen.supervisor.part import Part
from evergreen.supervisor.processes import Marked, end, marked_processes
from evergreen.supervisor.supervise import Supervisor

SLEEP = "import time; time.sleep(600)"


def wait_until(question: Callable[[], Any], seconds: float = 60) -> Any:
    """What the question answers once it is true."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < deadline, "nothing came of it in time"
        time.sleep(0.05)
    return answer


@pytest.fixture
def until() -> Callable[..., Any]:
    return wait_until


@pytest.fixture
def part() -> Callable[..., Part]:
    """A part that runs a piece of Python."""

    def make(name: str, code: str = SLEEP, *arguments: object, **options: Any) -> Part:
        return Part(name, (sys.executable, "-c", code, *map(str, arguments)), **options)

    return make


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    launch = Launch(tmp_path, tmp_path / "logs", dict(os.environ), mark_of(tmp_path))
    yield launch
    # Whatever a test that failed has left.
    end(lambda: [found.pid for found in left(launch.mark)], lambda: 0.0, time.monotonic, time.sleep)


def left(mark: str) -> list[Marked]:
    return [found for found in marked_processes() if found.mark == mark]


@pytest.fixture
def living(launch: Launch) -> Callable[[], list[Marked]]:
    """What lives of all that was started, by whomever."""
    return lambda: left(launch.mark)


@pytest.fixture
def supervise(launch: Launch) -> Iterator[Callable[..., Supervisor]]:
    """A supervisor whose reports are kept in `supervisor.told`; its guard does not outlive the test."""
    made: list[Supervisor] = []

    def start(*parts: Part, clock: Callable[[], float] = time.monotonic) -> Supervisor:
        told: list[tuple[str, str]] = []

        def report(child: Child) -> None:
            told.append((child.part.name, child.state.value))

        supervisor = Supervisor(parts, launch, clock, time.sleep, report)
        supervisor.told = told  # type: ignore[attr-defined]
        made.append(supervisor)
        return supervisor

    yield start
    for supervisor in made:
        if supervisor._guard is not None:
            supervisor._guard.kill()
            supervisor._guard.wait()
