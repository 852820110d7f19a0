"""What a run leaves in tracking, whatever becomes of it; and whether it has been decided before."""

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from evergreen.data.snapshot import Snapshot
from evergreen.gate.decision import DecisionKind
from evergreen.gate.judge import skip
from evergreen.registry.handles import RunHandle
from evergreen.registry.provenance import Provenance
from evergreen.registry.tracking import Tracking
from evergreen.settings import Settings
from evergreen.stages.open import tracking_of
from evergreen.stages.run import Evidence, Job, Run
from evergreen.stages.start import started_from
from evergreen.stages.twin import find_loss, known_answer
from evergreen.store.ledger import Ledger
from evergreen.store.lock import attempt, exclusive

log = logging.getLogger("evergreen.track")

_EVER = datetime.min.replace(tzinfo=UTC)


def prepare_job(run: Run, snapshot: Snapshot, settings: Settings) -> Job:
    """The job of a run: its training key and its scratch space."""
    from evergreen.training.key import code_digest, environment_digest, training_key

    code, start = code_digest(run.spec), started_from(run.spec, run.champion)
    key = training_key(snapshot.digest, run.spec, code, environment_digest(), start.digest if start else "")
    folder = settings.work / key[:16]
    folder.mkdir(parents=True, exist_ok=True)
    # Asked for now: it is not pruned for its age.
    os.utime(folder)
    return Job(run, snapshot, key, str(folder), code)


def find_twin(job: Job, evidence: Evidence, settings: Settings) -> Evidence:
    """Settle a run whose question was answered before: same data, spec, code and environment, same champion.

    Asked after validation and drift, which depend on the moment: a feed that stands still is no twin of itself.
    An answer whose model is not complete any more is none, and the evidence says why; raises IntegrityError where that
    is the champion.
    """
    if job.run.request.force:
        return evidence
    ledger = Ledger(settings.store_url)
    entry = ledger.twin(job.spec.model, job.key)
    why = known_answer(entry, job.run, ledger) if entry is not None else None
    if entry is None or why is None:
        return evidence
    champion = job.run.champion.version if job.run.champion else None
    if lost := find_loss(entry, champion, tracking_of(settings), ledger):
        log.warning("twin        %s", lost)
        return evidence.add(remarks=(*evidence.remarks, lost))
    log.info("twin        %s", why)
    return evidence.add(decision=skip(why, entry.checks))


@contextmanager
def track(job: Job, evidence: Evidence, settings: Settings) -> Iterator[Job]:
    """The job with an open tracking run, which is closed however the block ends: FINISHED, FAILED or KILLED.

    One run at a time is on a training; UnavailableError for the second. A run that is skipped trains nothing and opens
    none. What runs left open that died is closed either way.
    """
    tracking, lock = tracking_of(settings), job.workspace.with_suffix(".lock")
    if evidence.decided(DecisionKind.SKIP):
        with attempt(lock) as alone:
            if alone is not None:
                _close_orphans(job, tracking)
        yield job
        return
    with exclusive(lock, timeout_seconds=5):
        job.workspace.mkdir(parents=True, exist_ok=True)
        _close_orphans(job, tracking)
        if job.run.request.force:
            _forget(job.workspace)
        with _open_run(job, tracking) as run:
            yield replace(job, tracking=run)


def provenance(job: Job, metrics: dict[str, float | None] | None = None) -> Provenance:
    """What a tracking run and a version say about where they come from."""
    from evergreen.training.key import environment

    return Provenance(
        snapshot=job.snapshot.digest,
        spec_digest=job.spec.digest,
        code=job.code,
        commit=job.run.origin.commit or "",
        reason=job.run.request.reason.value,
        flow_run=job.run.origin.flow_run or "",
        training_key=job.key,
        started_from=start.version if (start := started_from(job.spec, job.run.champion)) else None,
        metrics=metrics or {},
        environment=environment(),
    )


def _write_spec(job: Job) -> Path:
    """The spec with every default spelt out, as it has to be to train the same model again."""
    import yaml

    path = job.workspace / "spec.yaml"
    values = job.spec.model_dump(mode="json", by_alias=True)
    path.write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def _tags(job: Job) -> dict[str, str]:
    origin = job.run.origin
    tags = {
        "mlflow.user": origin.user,
        "mlflow.source.name": "evergreen",
        "evergreen.as_of": job.run.request.as_of.isoformat(),
    }
    if origin.commit:
        tags["mlflow.source.git.commit"] = origin.commit.removesuffix("-dirty")
    if origin.flow_run_url:
        tags["evergreen.flow_run_url"] = origin.flow_run_url
    if job.run.request.dry_run:
        tags["evergreen.dry_run"] = "true"
    return tags | provenance(job).to_tags()


@contextmanager
def _open_run(job: Job, tracking: Tracking) -> Iterator[RunHandle]:
    request, status = job.run.request, "KILLED"
    run = tracking.start_run(job.spec.model, f"{request.as_of:%Y-%m-%d} {request.reason}", _tags(job))
    try:
        tracking.log_dataset(run.run_id, job.snapshot)
        tracking.log_artifacts(run.run_id, [_write_spec(job)])
        yield run
        status = "FINISHED"
    except Exception:
        status = "FAILED"
        raise
    finally:
        try:
            if status != "FINISHED":
                _close_trials(job, tracking, run, status)
        finally:
            tracking.finish(run.run_id, status)


def _close_orphans(job: Job, tracking: Tracking) -> None:
    """Close what the dead left open: on this training, whose lock is held here, and on the whole model, whose turn is.

    A dry run has no turn, so that another one may live that is on other data.
    """
    orphans = set(tracking.find_unfinished(job.spec.model, job.key))
    if not job.run.request.dry_run:
        orphans.update(tracking.running(job.spec.model, dry_since=_EVER))
    for run_id in orphans:
        tracking.finish(run_id, "KILLED")


def _close_trials(job: Job, tracking: Tracking, run: RunHandle, status: str) -> None:
    """A trial that was being written when its run stopped is a run of its own."""
    for run_id in tracking.find_unfinished(job.spec.model, job.key):
        if run_id != run.run_id:
            tracking.finish(run_id, status)


def _forget(workspace: Path) -> None:
    """Remove what an earlier training with this key has finished."""
    for path in (*workspace.glob("trial-*"), *workspace.glob("model-*")):
        path.unlink()
    for folder in workspace.glob("folds-*"):
        shutil.rmtree(folder)
