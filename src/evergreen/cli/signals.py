"""Being asked to stop, as a number that a loop looks at."""

import select
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Requests:
    """How often this process was asked to stop."""

    def __init__(self, woken: socket.socket) -> None:
        self.count = 0
        self._woken = woken

    def wait(self, seconds: float) -> None:
        """Sleep, but wake when a signal comes: a request, or the end of a child."""
        if select.select([self._woken], [], [], seconds)[0]:
            with suppress(BlockingIOError):
                self._woken.recv(4096)

    def add(self, *_: Any) -> None:
        """Count one more."""
        self.count += 1


@contextmanager
def stop_requests() -> Iterator[Requests]:
    """Count Ctrl-C, SIGTERM and a terminal that closes, instead of dying of them."""
    woken, waker = socket.socketpair()
    woken.setblocking(False)
    waker.setblocking(False)
    with woken, waker:
        requests = Requests(woken)
        before = {number: signal.getsignal(number) for number in (*_STOPS, signal.SIGCHLD)}
        for number in _STOPS:
            # Under nohup a terminal that closes is none of our business.
            if not (number is signal.SIGHUP and before[number] is signal.SIG_IGN):
                signal.signal(number, requests.add)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        woken_before = signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        try:
            yield requests
        finally:
            signal.set_wakeup_fd(woken_before)
            for number, handler in before.items():
                signal.signal(number, handler)
