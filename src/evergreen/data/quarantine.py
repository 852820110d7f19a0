"""Snapshots that broke their rules, marked beside the others."""

import json
from collections.abc import Sequence
from typing import Any

from evergreen.data.paths import filesystem_of
from evergreen.data.snapshot import Snapshot
from evergreen.errors import UnavailableError

FOLDER = "quarantine"


def quarantine(snapshot: Snapshot, root: str, model: str, broken: Sequence[dict[str, Any]]) -> str:
    """Write `<root>/quarantine/<model>-<digest>.json` with the rules that were broken, and return its path.

    The file of the snapshot stays where it is: its name is its content, and another model with other rules may read it.
    """
    path = f"{root.rstrip('/')}/{FOLDER}/{model}-{snapshot.digest}.json"
    note = {"snapshot": snapshot.path, "model": model, "as_of": snapshot.as_of.isoformat(), "broken": list(broken)}
    filesystem, name = filesystem_of(path)
    try:
        filesystem.makedirs(name.rpartition("/")[0], exist_ok=True)
        with filesystem.open(name, "w") as file:
            file.write(json.dumps(note, indent=1))
    except OSError as error:
        raise UnavailableError(f"{path}: cannot be written ({error})") from error
    return path
