"""A model with a past: champions that followed each other, a version that was rejected, and one that waits.

Nothing is trained: every version has a run, a model and a snapshot of its own, made from those of the first one.
"""

import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from evergreen.gate.decision import DecisionKind
from evergreen.registry import provenance as tag
from evergreen.registry.artifact import digest_of, read_files
from evergreen.registry.handles import LoggedModel
from evergreen.registry.reference import log_reference
from evergreen.stages.open import registry_of, tracking_of
from evergreen.stages.promote import promote
from evergreen.store.entry import LedgerEntry
from tests.project import Project

CHAMPION, BEFORE, REJECTED, WAITING = 5, 4, 3, 6


def live_on(project: Project) -> None:
    """After version 1: 2 is promoted, 3 rejected, 4 and 5 promoted, and 6 waits; a seventh run came to no version."""
    for number, kind in enumerate(["PROMOTE", "REJECT", "PROMOTE", "PROMOTE", "HOLD"], start=2):
        decide(project, number, DecisionKind(kind))
    registry = registry_of(project.settings)
    assert registry.aliases(project.model) == {"champion": CHAMPION, "previous": BEFORE, "challenger": WAITING}
    run = _run(project, 7)
    tracking_of(project.settings).finish(run)


def decide(project: Project, number: int, kind: DecisionKind) -> LedgerEntry:
    """Register one more version, decide on it, and give the decision its effect."""
    settings, now = project.settings, datetime.now(UTC)
    run_id = _run(project, number)
    snapshot = tracking_of(settings).tags(run_id)[tag.SNAPSHOT]
    logged = _log(project, run_id, number)
    tags = {tag.TRAINING_KEY: f"key {number}", tag.SNAPSHOT: snapshot}
    registered = registry_of(settings).register(project.model, run_id, logged, tags, "a card")
    tracking_of(settings).finish(run_id)
    before = project.champion()
    entry = replace(
        project.ledger.entries(project.model)[-1],
        id=None,
        kind=kind,
        decided_at=now,
        training_key=f"key {number}",
        snapshot=snapshot,
        mlflow_run=run_id,
        version=registered.version,
        model_digest=registered.digest,
        champion_before=before,
        champion_after=registered.version if kind is DecisionKind.PROMOTE else before,
        fence=project.ledger.fence(project.model),
        intention=None,
    )
    entry = project.ledger.record(entry)
    promote(entry, settings, now)
    if kind is DecisionKind.REJECT:
        registry_of(settings).release(project.model, registered.digest)
    return entry


def snapshot_of(project: Project, number: int) -> Path:
    """The snapshot that a version was trained on."""
    digest = project.registry.version(project.model, number).tags[tag.SNAPSHOT]
    return Path(project.settings.snapshots) / f"{digest}.parquet"


def _run(project: Project, number: int) -> str:
    """A run with a trial, a reference and a snapshot."""
    tracking, content = tracking_of(project.settings), f"snapshot {number}".encode()
    digest = sha256(content).hexdigest()
    (Path(project.settings.snapshots) / f"{digest}.parquet").write_bytes(content)
    tags = {tag.TRAINING_KEY: f"key {number}", tag.SNAPSHOT: digest}
    run = tracking.start_run(project.model, f"run {number}", tags)
    tracking.finish(tracking.start_child(run, "a trial", {}).run_id)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("reference.parquet", "profile.json"):
            (Path(folder) / name).write_bytes(content)
        log_reference(tracking, run.run_id, Path(folder) / "reference.parquet", Path(folder) / "profile.json")
    return run.run_id


def _log(project: Project, run_id: str, number: int) -> LoggedModel:
    tracking = tracking_of(project.settings)
    first = project.registry.version(project.model, 1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = tracking.download(first.source, Path(scratch))
        (folder / "number.txt").write_text(str(number))
        digest = digest_of(read_files(folder))
        experiment = tracking.client.get_run(run_id).info.experiment_id
        model = tracking.client.create_logged_model(experiment, "model", run_id)
        (folder / "registered_model_meta").unlink(missing_ok=True)
        tracking.client.log_model_artifacts(model.model_id, str(folder))
    tracking.client.finalize_logged_model(model.model_id, "READY")
    return LoggedModel(f"models:/{model.model_id}", digest, 0.1, "skops", f"answers {number}")
