"""The sample that drift is measured against, and its profile, as artifacts of a champion's run."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

from evergreen.errors import IntegrityError
from evergreen.files import file_digest
from evergreen.registry import provenance as tag
from evergreen.registry.answers import answering
from evergreen.registry.handles import Champion
from evergreen.registry.tracking import Tracking

FOLDER = "reference"
_FILES = {"reference.parquet": tag.REFERENCE_DIGEST, "profile.json": tag.PROFILE_DIGEST}


def log_reference(tracking: Tracking, run_id: str, reference: Path, profile: Path) -> None:
    """Keep `reference.parquet` and `profile.json` with a run, and their digests as its tags."""
    given = {"reference.parquet": reference, "profile.json": profile}
    for name, path in given.items():
        if path.name != name:
            raise ValueError(f"{path}: must be named {name}, as it is looked for under that name")
    tracking.log_artifacts(run_id, given.values(), FOLDER)
    tracking.log_tags(run_id, {_FILES[name]: file_digest(path) for name, path in given.items()})


def fetch_reference(tracking: Tracking, champion: Champion, cache: Path) -> Champion:
    """The champion with local paths of its reference and profile; each is downloaded once.

    Raises IntegrityError for a version whose run kept none, and where a file is not the one that was kept.
    """
    # A version that somebody registered by hand need not come from a run.
    tags = tracking.tags(champion.run_id) if champion.run_id else {}
    if not tags.keys() >= set(_FILES.values()):
        message = (
            f"{champion.model} version {champion.version} is champion, but has no reference to measure drift against"
        )
        raise IntegrityError(
            f"{message}: it was not registered by a run of Evergreen. Point alias champion at a version that was, "
            "or remove the alias where none was yet"
        )
    paths = {
        name: fetch_verified(tracking, champion, f"{FOLDER}/{name}", tags[key], cache) for name, key in _FILES.items()
    }
    return replace(champion, reference=str(paths["reference.parquet"]), profile=str(paths["profile.json"]))


def fetch_verified(tracking: Tracking, champion: Champion, artifact: str, digest: str, cache: Path) -> Path:
    """A local copy of an artifact of the champion's run, downloaded once.

    Raises IntegrityError where it is gone, or has another digest.
    """
    name = artifact.rpartition("/")[2]
    target = cache / champion.run_id / name
    if target.exists() and file_digest(target) == digest:
        return target
    with answering(tracking.uri):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            path = tracking.fetch(champion.run_id, artifact, Path(scratch))
            if (found := file_digest(path)) != digest:
                where = f"{name} of {champion.model} version {champion.version}"
                raise IntegrityError(
                    f"{where} has digest {found[:12]} and not {digest[:12]}; restore it, or train again"
                )
            os.replace(path, target)
    return target
