"""Where artifacts and snapshots are kept: whether a file can be written there, read again, and removed."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from evergreen.address import redacted
from evergreen.data.paths import filesystem_of, is_local
from evergreen.operations.doctor.finding import Finding, asked, fine, first_line, unknown, wrong
from evergreen.operations.doctor.patient import Patient
from evergreen.registry.answers import is_served
from evergreen.registry.health import ask_server, try_artifacts

ARTIFACTS, SNAPSHOTS = "artifact store", "snapshot store"
_CONTENT = b"evergreen doctor"
_SECONDS = 2.0


def look_at_artifacts(patient: Patient) -> Iterator[Finding]:
    """Where MLflow keeps models: its server's own place, where one is chosen and keeps them, else a folder or URL."""
    settings = patient.settings
    yield asked(ARTIFACTS, lambda: _served(patient) or try_place(ARTIFACTS, settings.artifacts, "EVERGREEN_HOME"))


def look_at_snapshots(patient: Patient) -> Iterator[Finding]:
    """Where snapshots are kept."""
    yield asked(SNAPSHOTS, lambda: try_place(SNAPSHOTS, patient.settings.snapshots, "EVERGREEN_SNAPSHOTS"))


def try_place(name: str, root: str, variable: str) -> Finding:
    """Write a small file below a folder or fsspec URL, read it and remove it; a folder is not created for that."""
    shown = redacted(root)
    try:
        if is_local(root) and _is_absent(Path(root)):
            return fine(name, f"{shown} is created by the first run")
        _try_file(f"{root.rstrip('/')}/{_file_name()}")
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC and is_local(root):
            return unknown(name, f"there is no room at {shown} to try it")
        # Every file system of fsspec throws errors of its own; whatever it is, runs would meet it too.
        return wrong(
            name, f"{shown} cannot be written: {first_line(error)}", f"correct {variable}, or its access rights"
        )
    return fine(name, shown)


def _served(patient: Patient) -> Finding | None:
    uri = patient.settings.tracking_uri
    # A URL of one's own goes past the server.
    if not is_served(uri) or not is_local(patient.settings.artifacts):
        return None
    # A server that does not answer at all is told of by its own finding.
    ask_server(uri, _SECONDS)
    try:
        kept = try_artifacts(uri, _file_name(), patient.environ, _SECONDS)
    except Exception as error:
        return wrong(
            ARTIFACTS, first_line(error), "read the log of the MLflow server about its --artifacts-destination"
        )
    if not kept:
        return fine(ARTIFACTS, f"{redacted(uri)} leaves artifacts to its clients")
    return fine(ARTIFACTS, f"behind {redacted(uri)}")


def _file_name() -> str:
    return f".doctor-{os.getpid()}-{uuid4().hex[:8]}"


def _is_absent(folder: Path) -> bool:
    """True where nothing is there and nothing stands in the way of creating it."""
    if folder.exists():
        return False
    parent = next(place for place in folder.parents if place.exists())
    if not parent.is_dir():
        raise NotADirectoryError(f"{parent} is no folder")
    if not os.access(parent, os.W_OK):
        raise PermissionError(f"{folder} cannot be created in {parent}")
    return True


def _try_file(path: str) -> None:
    filesystem, name = filesystem_of(path)
    try:
        filesystem.pipe_file(name, _CONTENT)
        if filesystem.cat_file(name) != _CONTENT:
            raise OSError("a file that was written reads differently")
    finally:
        if filesystem.exists(name):
            filesystem.rm_file(name)
