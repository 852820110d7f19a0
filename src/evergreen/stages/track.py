"""What a run leaves in tracking, whatever becomes of it; and whether it has been decided before."""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from evergreen.data.snapshot import Snapshot
from evergreen.gate.judge import skip
from evergreen.registry.provenance import Provenance
from evergreen.settings import Settings
from evergreen.stages.open import tracking_of
from evergreen.stages.run import Evidence, Job, Run
from evergreen.store.entry import LedgerEntry
from evergreen.store.ledger import Ledger

log = logging.getLogger("evergreen.track")


def find_twin(run: Run, key: str, ledger: Ledger) -> LedgerEntry | None:
    """The decision that answers this run already: same training, same spec, and the same question.

    The question is the same where the challenger would meet the same champion, or has become a version since.
    """
    if run.request.force:
        return None
    entry = ledger.twin(run.spec.model, key)
    if entry is None or entry.spec_digest != run.spec.digest:
        return None
    champion = run.champion.version if run.champion else None
    return entry if entry.version is not None or entry.champion_before == champion else None


def prepare_job(run: Run, snapshot: Snapshot, settings: Settings) -> Job:
    """The job of a run: its training key, its scratch space, and its twin if it has one."""
    from evergreen.training.key import code_digest, environment_digest, training_key

    code = code_digest(run.spec)
    key = training_key(snapshot.digest, run.spec, code, environment_digest())
    folder = settings.work / key[:16]
    if run.request.force:
        shutil.rmtree(folder, ignore_errors=True)
    twin = find_twin(run, key, Ledger(settings.store_url))
    if twin is None:
        folder.mkdir(parents=True, exist_ok=True)
        return Job(run, snapshot, key, str(folder), code)
    known = f"version {twin.version}" if twin.version else "no version"
    why = f"the same data, spec, code and environment were decided on before: decision {twin.id}, {twin.kind}, {known}"
    log.info("twin        %s", why)
    return Job(run, snapshot, key, str(folder), code, twin=Evidence(decision=skip(why, twin.checks)))


@contextmanager
def track(job: Job, settings: Settings) -> Iterator[Job]:
    """The job with an open tracking run, which is closed however the block ends: FINISHED, FAILED or KILLED.

    A job with a twin is passed through: it trains nothing.
    """
    if job.twin is not None:
        yield job
        return
    tracking = tracking_of(settings)
    run = tracking.start_run(job.spec.model, f"{job.run.request.as_of:%Y-%m-%d} {job.run.request.reason}", _tags(job))
    status = "KILLED"
    try:
        tracking.log_dataset(run.run_id, job.snapshot)
        tracking.log_artifacts(run.run_id, [_write_spec(job)])
        yield replace(job, tracking=run)
        status = "FINISHED"
    except Exception:
        status = "FAILED"
        raise
    finally:
        tracking.finish(run.run_id, status)


def provenance(job: Job, metrics: dict[str, float | None] | None = None) -> Provenance:
    """What a tracking run and a version say about where they come from."""
    return Provenance(
        snapshot=job.snapshot.digest,
        spec_digest=job.spec.digest,
        code=job.code,
        commit=job.run.origin.commit or "",
        reason=job.run.request.reason.value,
        flow_run=job.run.origin.flow_run or "",
        training_key=job.key,
        metrics=metrics or {},
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
