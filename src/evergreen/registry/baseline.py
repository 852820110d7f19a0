"""A champion on its holdout, as artifacts of its run: what its answers to live traffic are held against."""

from pathlib import Path

from evergreen.evaluation.baseline import FACTS, TABLE, Baseline, read_baseline
from evergreen.files import file_digest
from evergreen.registry import provenance as tag
from evergreen.registry.handles import Champion
from evergreen.registry.reference import fetch_verified
from evergreen.registry.tracking import Tracking

FOLDER = "baseline"
_FILES = {TABLE: tag.BASELINE_DIGEST, FACTS: tag.BASELINE_FACTS_DIGEST}


def log_baseline(tracking: Tracking, run_id: str, table: Path, facts: Path) -> None:
    """Keep the two files that `write_baseline` wrote with a run, and their digests as its tags."""
    given = {TABLE: table, FACTS: facts}
    tracking.log_artifacts(run_id, given.values(), FOLDER)
    tracking.log_tags(run_id, {_FILES[name]: file_digest(path) for name, path in given.items()})


def fetch_baseline(tracking: Tracking, champion: Champion, cache: Path) -> tuple[Baseline | None, str]:
    """The baseline of a version, or None and the reason why it has none; files are downloaded once into `cache`.

    Raises IntegrityError where a file is not the one that was kept, another EvergreenError where it is gone.
    """
    # A version that somebody registered by hand need not come from a run.
    tags = tracking.tags(champion.run_id) if champion.run_id else {}
    if not tags.keys() >= set(_FILES.values()):
        name = f"version {champion.version} of {champion.model}"
        return None, f"{name} was trained before its answers to the holdout were kept; the next version has them"
    table, facts = (
        fetch_verified(tracking, champion, f"{FOLDER}/{name}", tags[key], cache) for name, key in _FILES.items()
    )
    return read_baseline(table, facts), ""
