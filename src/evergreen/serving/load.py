"""A version from its files: verified, its engine held against the recorded answers, and warm."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from evergreen.registry.artifact import load_pipeline, read_requests, read_verified
from evergreen.serving.cache import MODEL, CachedVersion, read_spec
from evergreen.serving.engine import build_engine
from evergreen.serving.examples import typical_row
from evergreen.serving.handles import Role, Row, ServedModel
from evergreen.serving.kept import kept_of
from evergreen.serving.rows import frame_to_rows
from evergreen.serving.schema import columns_of
from evergreen.spec.canary import CanaryRules

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

_WARM_ROWS = 8


def load_served(folder: Path, cached: CachedVersion) -> ServedModel:
    """The version in a folder of the cache, ready to answer: as challenger where a decision holds it.

    Raises IntegrityError, before anything is unpickled, where its artifact does not have the digest of `cached`, or its
    spec is not the one that was fetched; and where it does not give the answers that were recorded with it.
    """
    files = read_verified(folder / MODEL, cached.digest)
    spec = read_spec(folder)
    pipeline = load_pipeline(files)
    requests, expected = read_requests(files)
    columns = columns_of(spec, pipeline)
    rows = frame_to_rows(columns, requests)
    served = ServedModel(
        model=spec.model,
        version=cached.version,
        digest=cached.digest,
        task=spec.task,
        columns=columns,
        engine=build_engine(pipeline, requests, expected),
        id_column=spec.data.id_column,
        role=Role.CHAMPION if cached.decision is None else Role.CHALLENGER,
        decision=cached.decision,
        trial=None if cached.trial is None else CanaryRules.model_validate(cached.trial),
        trained_until=None if cached.trained_until is None else datetime.fromisoformat(cached.trained_until),
        classes=_classes(pipeline),
        keeps_rows=kept_of(spec).names_rows,
        explore=spec.serving.explore.share,
        example=typical_row(columns, rows, {*spec.serving.capture.leave_out, spec.data.id_column or ""}),
    )
    _warm(served, rows)
    return served


def _classes(pipeline: "Pipeline") -> tuple[str, ...]:
    return tuple(map(str, getattr(pipeline, "classes_", ())))


def _warm(served: ServedModel, rows: Sequence[Row]) -> None:
    """Answer a few rows alone and some together: whatever is made at the first use is made now."""
    assert served.reader is not None
    for row in rows[:_WARM_ROWS]:
        served.engine.answer([row])
    if rows:
        served.engine.answer(rows)
