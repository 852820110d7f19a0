"""From a source to a snapshot."""

import logging
from datetime import datetime
from typing import TYPE_CHECKING

from evergreen.data.snapshot import Snapshot
from evergreen.settings import Settings
from evergreen.spec.model import ModelSpec
from evergreen.stages.run import Run

if TYPE_CHECKING:
    from evergreen.validation.validate import Validation

log = logging.getLogger("evergreen.load")


def load(run: Run, settings: Settings) -> Snapshot:
    """The snapshot of the run's data as of its moment. Raises DataError or UnavailableError, leaving nothing behind."""
    snapshot = _take(run.spec, run.request.as_of, settings)
    log.info(
        "load        %s rows, %s labelled, snapshot %s",
        f"{snapshot.rows:,}",
        f"{snapshot.labelled:,}",
        snapshot.digest[:12],
    )
    return snapshot


def inspect_data(spec: ModelSpec, as_of: datetime, settings: Settings) -> tuple[Snapshot, "Validation"]:
    """What `evergreen check` shows: the snapshot and its checks; trains nothing and asks no registry."""
    from evergreen.data.frame import read_snapshot
    from evergreen.validation.validate import validate

    snapshot = _take(spec, as_of, settings)
    return snapshot, validate(read_snapshot(snapshot.path), snapshot, spec, None)


def _take(spec: ModelSpec, as_of: datetime, settings: Settings) -> Snapshot:
    from evergreen.data.load import take_snapshot

    return take_snapshot(spec.data, spec.column_types, as_of, settings.snapshots)
