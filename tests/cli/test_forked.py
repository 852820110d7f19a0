"""Copies of a process are told to stop, those too that are made at that very moment."""

import signal

import pytest

from evergreen.cli import forked
from evergreen.cli.forked import run_forked


class System:
    """Forks nothing; a copy ends when it is told to, and waiting for another is for ever."""

    def __init__(self, stop_at):
        self.stop_at, self.made, self.alive = stop_at, 0, set()

    def fork(self):
        self.made += 1
        if self.made == self.stop_at:
            signal.raise_signal(signal.SIGTERM)
        self.alive.add(-self.made)
        return -self.made

    def kill(self, child, number):
        assert number == signal.SIGTERM
        self.ended = {*getattr(self, "ended", ()), child}

    def waitpid(self, *_):
        for child in sorted(getattr(self, "ended", ())):
            self.ended.discard(child)
            self.alive.discard(child)
            return child, 0
        pytest.fail(f"waits for ever for {self.alive}")


@pytest.mark.parametrize("stop_at", [1, 2, 3])
def test_a_copy_that_is_made_while_all_are_told_to_stop_is_told_too(monkeypatch, stop_at):
    system, before = System(stop_at), signal.getsignal(signal.SIGTERM)
    for name in ("fork", "kill", "waitpid"):
        monkeypatch.setattr(forked.os, name, getattr(system, name))
    run_forked(3, lambda: None)
    assert system.alive == set()
    # Nobody is made who would only be told to stop.
    assert system.made == stop_at
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()


def test_a_copy_of_who_dies_is_not_made_once_all_are_told_to_stop(monkeypatch):
    system = System(None)
    waits = []

    def waitpid(*_):
        waits.append(1)
        if len(waits) == 1:
            # The request comes when the death is known already, and its replacement is not yet made.
            monkeypatch.setattr(forked.log, "error", lambda *_: signal.raise_signal(signal.SIGTERM))
            system.alive.discard(-1)
            return -1, 9
        return system.waitpid()

    for name, what in (("fork", system.fork), ("kill", system.kill), ("waitpid", waitpid)):
        monkeypatch.setattr(forked.os, name, what)
    run_forked(2, lambda: None)
    assert system.alive == set()
    assert system.made == 2
