"""CPU and memory of a process with everything it starts, from /proc: nothing has to be installed. Linux only.

    python processes.py result.json command …

runs a command and writes what it took: user and system seconds of the whole tree, those of children that outlived
their parents included; wall seconds; the peak of memory in MB (proportional set sizes, so that pages which processes
share count once, sampled, and never less than the largest process' own peak as the kernel kept it).
"""

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_SUBREAPER = 36
_EVERY_SECONDS = 0.2
_PATIENCE_SECONDS = 30.0


def descendants(root: int) -> list[int]:
    """The process and all below it that are alive."""
    children: dict[int, list[int]] = {}
    for pid, fields in _all_stats():
        children.setdefault(int(fields[1]), []).append(pid)
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def tree_cpu(root: int) -> float:
    """User and system seconds so far of a process, of what it waited for, and of what lives below it."""
    return sum(_cpu(pid) for pid in descendants(root))


def own_cpu() -> float:
    """`tree_cpu` of this process, to the microsecond where the kernel keeps it so."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    alive = sum(_cpu(pid) for pid in descendants(os.getpid()) if pid != os.getpid())
    return sum(u.ru_utime + u.ru_stime for u in used) + alive


def own_peak_mb() -> float:
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(command: list[str]) -> dict[str, float]:
    """Run a command to its end, and all that it leaves behind."""
    # What a command leaves behind becomes ours, so that its time is counted and it can be stopped.
    ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0)
    started, peak = time.perf_counter(), 0.0
    process = subprocess.Popen(command)
    while process.poll() is None:
        peak = max(peak, sum(_memory_mb(pid) for pid in descendants(process.pid)))
        time.sleep(_EVERY_SECONDS)
    wall = time.perf_counter() - started
    _wait_for_orphans()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    largest = used.ru_maxrss / 1024
    return {
        "exit": process.returncode,
        "cpu": used.ru_utime + used.ru_stime,
        "wall": wall,
        "peak_mb": max(peak, largest),
    }


def _wait_for_orphans() -> None:
    patient_until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            if time.monotonic() > patient_until:
                for orphan in descendants(os.getpid())[1:]:
                    os.kill(orphan, signal.SIGKILL)
            time.sleep(0.1)


def _all_stats() -> Iterator[tuple[int, list[str]]]:
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := _stat(int(entry))):
            yield int(entry), fields


def _stat(pid: int) -> list[str]:
    """The fields after the command's name, state first; empty for a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _cpu(pid: int) -> float:
    return sum(map(int, _stat(pid)[11:15])) / _TICKS


def _memory_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


if __name__ == "__main__":
    measured = run(sys.argv[2:])
    Path(sys.argv[1]).write_text(json.dumps(measured))
    sys.exit(int(measured["exit"]))
