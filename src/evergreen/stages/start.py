"""The champion that a training goes on from, kept beside the training's other products."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from evergreen.files import file_digest, read_json, write_json, write_whole
from evergreen.registry.handles import Champion
from evergreen.settings import Settings
from evergreen.spec.model import ModelSpec
from evergreen.stages.open import tracking_of
from evergreen.stages.run import Job
from evergreen.training.handles import Start


def started_from(spec: ModelSpec, champion: Champion | None) -> Champion | None:
    """The champion that a spec's training may go on from; None where it begins anew, or where there is none yet."""
    if spec.training.start == "scratch" or champion is None or champion.trained_until is None:
        return None
    return champion


def keep_start(job: Job, settings: Settings) -> Start | None:
    """Fetch the champion's verified pipeline into the workspace; None where the training begins anew."""
    import joblib

    from evergreen.registry.complete import reading
    from evergreen.registry.model import load

    champion = started_from(job.spec, job.run.champion)
    if champion is None or champion.trained_until is None:
        return None
    tracking, path = tracking_of(settings), job.workspace / "start.joblib"
    with reading(tracking, champion):
        pipeline = load(tracking, champion.source, champion.digest)
    write_whole(path, lambda file: joblib.dump(pipeline, file))
    newer_than = champion.trained_until.astimezone(UTC).replace(tzinfo=None)
    start = Start(champion.version, champion.digest, str(path), file_digest(path), newer_than)
    write_json(_place(job), {**asdict(start), "newer_than": newer_than.isoformat()})
    return start


def read_start(job: Job) -> Start | None:
    """What `keep_start` has kept, None where the training begins anew."""
    stored = read_json(_place(job))
    if stored is None:
        return None
    return Start(**{**stored, "newer_than": datetime.fromisoformat(stored["newer_than"])})


def forget_start(job: Job) -> None:
    """No recipe goes on from the champion, so that folds are those of any training."""
    _place(job).unlink(missing_ok=True)


def _place(job: Job) -> Path:
    return job.workspace / "start.json"
