"""Processes that are measured: started, waited for, weighed with their children, and ended with them."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import psutil

_START_SECONDS = 180


def run_script(main: Callable[[], int | None]) -> NoReturn:
    """Be a script whose servers end with it: at Ctrl-C, and when it is told to stop."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("stopped; every server was ended")


@contextmanager
def running(command: Sequence[str], health: str, environment: Mapping[str, str], log: Path) -> Iterator[psutil.Process]:
    """A server, once the address answers; ended afterwards with all its children, of which Ctrl-C knows nothing."""
    with log.open("wb") as output:
        # A session of its own: who is told to stop by the terminal stops in any order.
        started = subprocess.Popen(
            command,
            env=dict(environment),
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    process = psutil.Process(started.pid)
    try:
        wait_for(health, started, log)
        yield process
    finally:
        end(process)
        started.wait()


def wait_for(address: str, started: subprocess.Popen[bytes], log: Path) -> None:
    """Come back once the address answers 200."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and started.poll() is None:
        with suppress(OSError, urllib.error.HTTPError), urllib.request.urlopen(address, timeout=2):
            return
        time.sleep(0.1)
    sys.exit(f"{address} does not answer; {log} ends with\n{log.read_text(errors='replace')[-2000:]}")


def end(process: psutil.Process, grace_seconds: float = 15) -> None:
    """Ask the process to stop, and kill whatever of its family is left then."""
    with suppress(psutil.NoSuchProcess):
        family = tree(process)
        process.terminate()
        _, left = psutil.wait_procs(family, timeout=grace_seconds)
        for one in left:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(left, timeout=5)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def tree(process: psutil.Process) -> list[psutil.Process]:
    """The process and everything below it."""
    return [process, *process.children(recursive=True)]


def cpu_seconds(process: psutil.Process) -> float:
    """User and system time of the tree, those that ended among them."""
    total = 0.0
    for one in tree(process):
        times = one.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
    return total


def peak_megabytes(process: psutil.Process) -> float:
    """The largest that the tree's processes were, each for itself, added; pages that they share count for each."""
    peaks = 0.0
    for one in tree(process):
        status = Path(f"/proc/{one.pid}/status").read_text()
        peaks += int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024
    return peaks
