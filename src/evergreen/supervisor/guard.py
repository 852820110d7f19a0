"""Outlives a supervisor that was killed, by as long as it takes to end what that one started.

Its standard input is a pipe that nobody writes to: it ends when the supervisor does, however that happens.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Mapping

from evergreen.supervisor.processes import MARK, end, marked_processes

_FLOW_SECONDS, _OTHER_SECONDS = 15.0, 5.0


def start_guard(mark: str, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Start it, in a session of its own; it ends at once when it is killed, and does nothing then."""
    command = [sys.executable, "-m", "evergreen.supervisor.guard", mark]
    own = {name: value for name, value in environment.items() if name != MARK}
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=own,
        start_new_session=True,
    )


def end_marked(mark: str) -> None:
    """End flow runs first, while the server that they report to is there, then everything else of a supervisor."""
    end(lambda: _ids(mark, flows_only=True), lambda: _FLOW_SECONDS, time.monotonic, time.sleep)
    end(lambda: _ids(mark, flows_only=False), lambda: _OTHER_SECONDS, time.monotonic, time.sleep)


def _ids(mark: str, flows_only: bool) -> list[int]:
    ours = [found for found in marked_processes() if found.mark == mark]
    return [found.pid for found in ours if not flows_only or (found.flow_run and found.leads)]


def _main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    end_marked(sys.argv[1])


if __name__ == "__main__":
    _main()
