"""A challenger that waits unregistered: all that registering it later takes, kept with its run."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from evergreen.errors import IntegrityError
from evergreen.files import file_digest, write_json
from evergreen.registry.handles import LoggedModel
from evergreen.registry.provenance import CANDIDATE_DIGEST
from evergreen.registry.tracking import Tracking

_FOLDER, _FILE = "candidate", "candidate.json"


@dataclass(frozen=True)
class Candidate:
    """A logged model with the tags and the card that its version would get."""

    logged: LoggedModel
    tags: Mapping[str, str]
    card: str


def keep_candidate(tracking: Tracking, run_id: str, candidate: Candidate) -> None:
    """Store a candidate as an artifact of its run, and the artifact's digest as a tag. Doing it again replaces it."""
    with tempfile.TemporaryDirectory(prefix="evergreen-candidate-") as scratch:
        path = Path(scratch) / _FILE
        write_json(path, asdict(candidate))
        tracking.log_artifacts(run_id, [path], _FOLDER)
        # Last: a run says that it keeps one only once it does.
        tracking.log_tags(run_id, {CANDIDATE_DIGEST: file_digest(path)})


def fetch_candidate(tracking: Tracking, run_id: str) -> Candidate:
    """The inverse of `keep_candidate`. Raises IntegrityError where the run keeps none, or another than it was given."""
    digest = tracking.tags(run_id).get(CANDIDATE_DIGEST)
    if digest is None:
        raise IntegrityError(f"MLflow run {run_id} keeps no challenger that could be registered; train again")
    with tempfile.TemporaryDirectory(prefix="evergreen-candidate-") as scratch:
        path = tracking.fetch(run_id, f"{_FOLDER}/{_FILE}", Path(scratch))
        if (found := file_digest(path)) != digest:
            message = f"{_FILE} of MLflow run {run_id} has digest {found[:12]} and not {digest[:12]}"
            raise IntegrityError(f"{message}; restore it, or train again")
        values = json.loads(path.read_text(encoding="utf-8"))
    return Candidate(LoggedModel(**values["logged"]), values["tags"], values["card"])
