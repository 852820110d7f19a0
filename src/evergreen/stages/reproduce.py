"""Train a registered version again, from what is recorded of it, and compare."""

import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evergreen.data.snapshot import Snapshot
from evergreen.errors import EvergreenError, IntegrityError, UnavailableError, UserError
from evergreen.gate.decision import Reason
from evergreen.registry import provenance as tag
from evergreen.registry.artifact import Files
from evergreen.registry.handles import Champion
from evergreen.registry.versions import Registry
from evergreen.settings import Settings
from evergreen.spec import ModelSpec, load_spec
from evergreen.stages import train
from evergreen.stages.open import tracking_of
from evergreen.stages.run import Job, Origin, Request, Run
from evergreen.stages.surroundings import say_surroundings
from evergreen.store.pruned import PrunedLog
from evergreen.training.handles import FittedModel, RowSplit

log = logging.getLogger("evergreen.reproduce")

METRIC_TOLERANCE = 1e-6
"""How far apart a metric may be: absolute below 1, relative above. Answers that differ in their last digit may change
places in a ranking."""


@dataclass(frozen=True)
class Reproduction:
    """A version beside the model that the same inputs gave now, both asked for the holdout.

    `difference` is the largest of any answer: absolute below 1, relative above, infinite where a label differs.
    `metrics` hold the recorded value and the rebuilt model's, of scores only: how fast a model answered is another
    time another. `notes` say what is not as it was recorded.
    """

    model: str
    version: int
    rows: int
    difference: float
    metrics: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def same_answers(self) -> bool:
        """True where every answer is the same to nine digits: how rows are put together moves the last one."""
        from evergreen.registry.artifact import TOLERANCE

        return self.difference <= TOLERANCE

    @property
    def moved(self) -> tuple[str, ...]:
        """Metrics that the rebuilt model does not have as they were recorded."""
        return tuple(name for name, (then, now) in sorted(self.metrics.items()) if not _agree(then, now))

    @property
    def equal(self) -> bool:
        """True where answers and metrics are the same."""
        return self.same_answers and not self.moved


def find_recorded(model: str, version: int, settings: Settings) -> Champion:
    """What the registry holds on a version. Raises UserError where there is none, or where nothing was recorded."""
    registry = Registry(tracking_of(settings))
    known = registry.versions(model)
    if not known:
        raise UserError(f"no version of {model!r} is registered; evergreen status shows the models there are")
    if version not in known:
        if note := PrunedLog(settings.store_url).version(model, version):
            raise UserError(f"version {version} of {model} was {note.said}; only its rows of the ledger are left")
        raise UserError(f"{model} has no version {version}; it has {_listed(known)}, see `evergreen history {model}`")
    recorded = registry.version(model, version)
    missing = [name for name in (tag.SNAPSHOT, tag.CODE, tag.TRAINING_KEY) if not recorded.tags.get(name)]
    if missing:
        raise UserError(f"{model} version {version} lacks the tags {', '.join(missing)}; it was not made by Evergreen")
    return recorded


def is_this_code(recorded: Champion, spec: ModelSpec) -> bool:
    """True where the sources that trained a version are the ones that run now."""
    from evergreen.training.key import code_digest

    return recorded.tags[tag.CODE] == code_digest(spec)


def recorded_spec(recorded: Champion, settings: Settings, folder: Path) -> ModelSpec:
    """The spec that a version was trained with, every default spelt out, from its MLflow run.

    Raises IntegrityError where the run does not have it any more.
    """
    with _needing(recorded, "its spec"):
        path = tracking_of(settings).fetch(recorded.run_id, "spec.yaml", folder)
    return load_spec(path)


def reproduce(recorded: Champion, settings: Settings, folder: Path) -> Reproduction:
    """Search, fit and answer again in an empty folder, and hold it against the version's own artifact.

    Registry, ledger and tracking stay as they are. Raises IntegrityError where the snapshot or the artifact is gone or
    is not what was recorded.
    """
    from evergreen.data.frame import read_snapshot
    from evergreen.registry.artifact import answer, difference, load_pipeline
    from evergreen.training.fit import load_model
    from evergreen.training.split import read_positions

    spec = recorded_spec(recorded, settings, folder)
    job, files = _job(recorded, spec, settings, folder), _artifact(recorded, settings)
    rows = train.split(job)
    fitted = _fit_again(job, rows, settings)
    frame = read_snapshot(job.snapshot.path, list(spec.column_types), read_positions(rows)[1])
    raw = frame[list(spec.raw_inputs)]
    now = load_model(fitted.path, fitted.digest)
    return Reproduction(
        recorded.model,
        recorded.version,
        len(frame),
        difference(answer(load_pipeline(files), raw), answer(now, raw)),
        _metrics(recorded, spec, frame, now),
        tuple(_notes(recorded, job, files)),
    )


@contextmanager
def _needing(recorded: Champion, part: str) -> Iterator[None]:
    """Errors on what was recorded say what of which version is missing, and that nothing replaces it."""
    try:
        yield
    except UnavailableError:
        raise
    except EvergreenError as error:
        what = str(error).partition(";")[0]
        raise IntegrityError(
            f"{recorded.model} version {recorded.version} cannot be trained again without {part} ({what}); restore it "
            "from the backup, as nothing else can take its place"
        ) from error


def _artifact(recorded: Champion, settings: Settings) -> Files:
    from evergreen.registry.artifact import read_verified

    with _needing(recorded, "its artifact to compare with"), tempfile.TemporaryDirectory() as scratch:
        return read_verified(tracking_of(settings).download(recorded.source, Path(scratch)), recorded.digest)


def _job(recorded: Champion, spec: ModelSpec, settings: Settings, folder: Path) -> Job:
    from evergreen.training.key import code_digest

    with _needing(recorded, "the data that trained it"):
        snapshot = _snapshot(recorded.tags[tag.SNAPSHOT], spec, settings)
    request = Request(spec.model, snapshot.as_of, Reason.MANUAL, dry_run=True)
    run = Run(request, spec, _start(recorded, settings), Origin("reproduce"))
    return Job(run, snapshot, recorded.tags[tag.TRAINING_KEY], str(folder), code_digest(spec))


def _start(recorded: Champion, settings: Settings) -> Champion | None:
    """The champion that a version could go on from; None where there was none, or its training began anew."""
    number = recorded.tags.get(tag.STARTED_FROM)
    if number is None:
        return None
    with _needing(recorded, f"version {number}, which it could go on from"):
        return Registry(tracking_of(settings)).version(recorded.model, int(number))


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


def _fit_again(job: Job, rows: RowSplit, settings: Settings) -> FittedModel:
    from evergreen.training.recipes import best, select

    training = job.spec.training
    search = train.plan_search(job, rows, settings)
    folds = {e: train.encode(job, rows, e) for e in {recipe.encoding for recipe in search.recipes}}
    survivors = search.recipes
    for rung in search.rungs:
        results = [train.try_recipe(job, recipe, folds[recipe.encoding], rung.share) for recipe in survivors]
        survivors = select(results, rung, training.metric)
    return train.fit_recipe(job, rows, best(results, training.metric).recipe)


def _metrics(
    recorded: Champion, spec: ModelSpec, frame: Any, model: Any
) -> dict[str, tuple[float | None, float | None]]:
    """Recorded scores that this code knows, with their values now."""
    from evergreen.evaluation.metrics import METRICS, score_outputs
    from evergreen.evaluation.predict import Contender, answer, encode

    then = {name: value for name, value in _recorded_metrics(recorded).items() if name in METRICS}
    outputs = encode(frame[spec.data.target], [answer(Contender(model), frame)], spec.task)
    now = score_outputs([METRICS[name] for name in then], outputs[0])
    return {name: (value, now.get(name)) for name, value in then.items()}


def _recorded_metrics(recorded: Champion) -> dict[str, float | None]:
    found: dict[str, float | None] = json.loads(recorded.tags.get(tag.METRICS, "{}"))
    return found


def _notes(recorded: Champion, job: Job, files: Files) -> Iterator[str]:
    from evergreen.evaluation.metrics import METRICS
    from evergreen.training.key import environment_digest, training_key

    same_spec = job.spec.digest == recorded.tags.get(tag.SPEC)
    if not same_spec:
        yield "the recorded spec reads differently by this code"
    if job.code != recorded.tags[tag.CODE]:
        yield "the code is not the one that trained this version"
    start = job.run.champion.digest if job.run.champion else ""
    key = training_key(job.snapshot.digest, job.spec, recorded.tags[tag.CODE], environment_digest(), start)
    # The key is made of the spec as well: where that reads differently the key says nothing about the rest.
    yield from say_surroundings(recorded.tags, files, moved=same_spec and key != recorded.tags[tag.TRAINING_KEY])
    then = _recorded_metrics(recorded)
    if not then:
        yield "no metrics were recorded: only answers are compared"
    if unknown := sorted(then.keys() - METRICS.keys()):
        yield f"this code does not know how {', '.join(unknown)} was computed: not compared"


def _agree(then: float | None, now: float | None) -> bool:
    if then is None or now is None:
        return then is now
    return abs(then - now) <= METRIC_TOLERANCE * max(1.0, abs(then))


def _listed(versions: tuple[int, ...]) -> str:
    newest = sorted(versions)[-5:]
    return ("… " if len(newest) < len(versions) else "") + ", ".join(map(str, newest))
