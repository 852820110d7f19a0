"""Train a registered version again, from what is recorded of it, and compare."""

import json
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evergreen.data.snapshot import Snapshot
from evergreen.errors import UserError
from evergreen.gate.decision import Reason
from evergreen.registry import provenance as tag
from evergreen.registry.handles import Champion
from evergreen.registry.versions import Registry
from evergreen.settings import Settings
from evergreen.spec import ModelSpec, load_spec
from evergreen.stages import train
from evergreen.stages.open import tracking_of
from evergreen.stages.run import Job, Origin, Request, Run
from evergreen.training.handles import FittedModel, RowSplit

log = logging.getLogger("evergreen.reproduce")


@dataclass(frozen=True)
class Reproduction:
    """A version beside the model that the same inputs gave now, both asked for the holdout.

    `difference` is the largest of any answer: absolute below 1, relative above, infinite where a label differs.
    `metrics` hold the recorded value and the rebuilt model's. `notes` say what is not as it was recorded.
    """

    model: str
    version: int
    rows: int
    difference: float
    metrics: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """True where every answer is the same to twelve digits: how rows are put together moves the last one."""
        from evergreen.registry.artifact import TOLERANCE

        return self.difference <= TOLERANCE


def find_recorded(model: str, version: int, settings: Settings) -> Champion:
    """What the registry holds on a version. Raises UserError where there is none, or where nothing was recorded."""
    recorded = Registry(tracking_of(settings)).version(model, version)
    missing = [name for name in (tag.SNAPSHOT, tag.CODE, tag.TRAINING_KEY) if not recorded.tags.get(name)]
    if missing:
        raise UserError(f"{model} version {version} lacks the tags {', '.join(missing)}; it was not made by Evergreen")
    return recorded


def is_this_code(recorded: Champion, spec: ModelSpec) -> bool:
    """True where the sources that trained a version are the ones that run now."""
    from evergreen.training.key import code_digest

    return recorded.tags[tag.CODE] == code_digest(spec)


def recorded_spec(recorded: Champion, settings: Settings, folder: Path) -> ModelSpec:
    """The spec that a version was trained with, every default spelt out, from its MLflow run."""
    return load_spec(tracking_of(settings).fetch(recorded.run_id, "spec.yaml", folder))


def reproduce(recorded: Champion, settings: Settings, folder: Path) -> Reproduction:
    """Search, fit and answer again in an empty folder, and hold it against the version's own artifact.

    Registry, ledger and tracking stay as they are. Raises IntegrityError where the snapshot or the artifact is gone or
    is not what was recorded.
    """
    from evergreen.data.frame import read_snapshot
    from evergreen.registry.artifact import answer, difference
    from evergreen.registry.model import load
    from evergreen.training.fit import load_model
    from evergreen.training.split import read_positions

    spec = recorded_spec(recorded, settings, folder)
    job = _job(recorded, spec, settings, folder)
    rows = train.split(job)
    fitted = _fit_again(job, rows)
    held_out = read_positions(rows)[1]
    frame = read_snapshot(job.snapshot.path, list(spec.column_types), held_out)
    raw = frame[list(spec.raw_inputs)]
    then = load(tracking_of(settings), recorded.source, recorded.digest)
    now = load_model(fitted.path, fitted.digest)
    return Reproduction(
        recorded.model,
        recorded.version,
        len(frame),
        difference(answer(then, raw), answer(now, raw)),
        _metrics(recorded, spec, frame, now),
        tuple(_notes(recorded, job)),
    )


def _job(recorded: Champion, spec: ModelSpec, settings: Settings, folder: Path) -> Job:
    from evergreen.training.key import code_digest

    snapshot = _snapshot(recorded.tags[tag.SNAPSHOT], spec, settings)
    run = Run(Request(spec.model, snapshot.as_of, Reason.MANUAL, dry_run=True), spec, None, Origin("reproduce"))
    return Job(run, snapshot, recorded.tags[tag.TRAINING_KEY], str(folder), code_digest(spec))


def _snapshot(digest: str, spec: ModelSpec, settings: Settings) -> Snapshot:
    import pyarrow.parquet as pq

    from evergreen.data.load import verify_digest
    from evergreen.data.paths import filesystem_of

    path = f"{settings.snapshots.rstrip('/')}/{digest}.parquet"
    verify_digest(path, digest)
    filesystem, name = filesystem_of(path)
    with filesystem.open(name, "rb") as file:
        table = pq.ParquetFile(file)
        target = table.read(columns=[spec.data.target]).column(0)
        return Snapshot(path, digest, len(target), len(target) - target.null_count, datetime(1970, 1, 1, tzinfo=UTC))


def _fit_again(job: Job, rows: RowSplit) -> FittedModel:
    from evergreen.training.recipes import best, plan, select

    training = job.spec.training
    search = plan(training, job.spec.task)
    folds = {e: train.encode(job, rows, e) for e in {recipe.encoding for recipe in search.recipes}}
    survivors = search.recipes
    for rung in search.rungs:
        results = [train.try_recipe(job, recipe, folds[recipe.encoding], rung.share) for recipe in survivors]
        survivors = select(results, rung, training.metric)
    return train.fit_recipe(job, rows, best(results, training.metric).recipe)


def _metrics(
    recorded: Champion, spec: ModelSpec, frame: Any, model: Any
) -> dict[str, tuple[float | None, float | None]]:
    from evergreen.evaluation.metrics import METRICS, score_outputs
    from evergreen.evaluation.predict import Contender, answer, encode

    then: dict[str, float | None] = json.loads(recorded.tags.get(tag.METRICS, "{}"))
    outputs = encode(frame[spec.data.target], [answer(Contender(model), frame)], spec.task)
    now = score_outputs([METRICS[name] for name in then if name in METRICS], outputs[0])
    return {name: (value, now.get(name)) for name, value in then.items()}


def _notes(recorded: Champion, job: Job) -> list[str]:
    from evergreen.training.key import environment_digest, training_key

    notes = []
    if job.spec.digest != recorded.tags.get(tag.SPEC):
        notes.append("the recorded spec reads differently by this code")
    if job.code != recorded.tags[tag.CODE]:
        notes.append("the code is not the one that trained this version")
    key = training_key(job.snapshot.digest, job.spec, recorded.tags[tag.CODE], environment_digest())
    if key != recorded.tags[tag.TRAINING_KEY]:
        notes.append("libraries, Python or the kind of machine are not those that trained this version")
    return notes
