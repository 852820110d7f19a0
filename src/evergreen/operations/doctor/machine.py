"""The machine under the home: whether files can be written, the room that is left, and the ports."""

import errno
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from evergreen.data.paths import is_local
from evergreen.operations.doctor.finding import Finding, Health, asked, fine, unknown, wrong
from evergreen.operations.doctor.patient import Bounds, Patient
from evergreen.supervisor.ports import holder
from evergreen.supervisor.state import read_state

HOME, DISK, PORTS = "home", "disk", "ports"
_GIGABYTE = 1e9


def look_at_machine(patient: Patient) -> Iterator[Finding]:
    """The home, the disk that it is on, and the ports of what `evergreen up` would start."""
    home = patient.settings.home
    yield asked(HOME, lambda: _look_at_home(home))
    yield asked(DISK, lambda: _look_at_disks(patient))
    yield asked(PORTS, lambda: _look_at_ports(patient))


def judge_disk(free: int, total: int, where: Path, bounds: Bounds) -> Finding:
    """Bytes that are free on a file system, against the least that a run can be trusted with."""
    shown = f"{free / _GIGABYTE:.1f} of {total / _GIGABYTE:.1f} GB free at {where}"
    if free >= bounds.free_bytes and free >= bounds.free_share * total:
        return fine(DISK, shown)
    what = f"{shown}; wanted are {bounds.free_bytes / _GIGABYTE:g} GB and {bounds.free_share:.0%}"
    return wrong(DISK, what, "make room; work/ in the home may be deleted between runs, and old reports/")


def judge_ports(taken: Mapping[str, int]) -> Finding:
    """The ports that somebody else holds, by what they are wanted for."""
    if not taken:
        return fine(PORTS, "free for evergreen up")
    what = ", ".join(f"{port} ({name}) by {holder(port) or 'another program'}" for name, port in taken.items())
    first = next(iter(taken))
    return wrong(PORTS, f"taken: {what}", f"stop it, or: evergreen up --{first}-port 0")


def _look_at_home(home: Path) -> Finding:
    try:
        return _try_home(home)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return unknown(HOME, "there is no room to try it")
        return wrong(
            HOME, f"{home} cannot be written ({error.strerror or error})", "correct EVERGREEN_HOME, or its owner"
        )


def _try_home(home: Path) -> Finding:
    if not home.exists():
        parent = _existing(home)
        if not parent.is_dir() or not os.access(parent, os.W_OK):
            raise OSError(errno.EACCES, f"cannot be created in {parent}")
        return fine(HOME, f"{home} is created by the first run")
    probe = home / f".doctor-{os.getpid()}"
    try:
        probe.write_bytes(b"evergreen doctor")
    finally:
        probe.unlink(missing_ok=True)
    return fine(HOME, str(home))


def _look_at_disks(patient: Patient) -> Finding:
    """Every file system that state is on, the home's first; the one to worry about, where there is one."""
    settings = patient.settings
    folders = [settings.home, *(Path(root) for root in (settings.artifacts, settings.snapshots) if is_local(root))]
    disks: dict[int, Path] = {}
    for place in map(_existing, folders):
        disks.setdefault(place.stat().st_dev, place)
    judged = [judge_disk(*_room(place), place, patient.bounds) for place in disks.values()]
    return next((finding for finding in judged if finding.outcome is not Health.OK), judged[0])


def _room(place: Path) -> tuple[int, int]:
    usage = shutil.disk_usage(place)
    return usage.free, usage.total


def _existing(path: Path) -> Path:
    return next(place for place in (path, *path.parents) if place.exists())


def _look_at_ports(patient: Patient) -> Finding:
    if read_state(patient.settings.home) is not None:
        return fine(PORTS, "held by evergreen up")
    ours = _addresses(patient.environ)
    foreign = {name: port for name, port in patient.ports.items() if f":{port}/" not in ours}
    return judge_ports({name: port for name, port in foreign.items() if _is_taken(port)})


def _addresses(environ: Mapping[str, str]) -> str:
    """Servers that somebody chose: what answers there is meant to."""
    return " ".join(f"{environ.get(name, '')}/" for name in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI"))


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do, so that a connection that is just closing does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return True
    return False
