"""From a source to a snapshot."""

import logging
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from evergreen.data.snapshot import Snapshot, TrafficRows
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
    if snapshot.traffic is not None:
        log.info("traffic     %s", say_traffic(snapshot.traffic))
    return snapshot


def say_traffic(traffic: TrafficRows) -> str:
    """What of a snapshot came from live requests.

    >>> say_traffic(TrafficRows(1200, quarantined=40))
    '1,200 rows are labelled traffic; 40 are left out, as monitoring held the feed for broken'
    """
    said = f"{traffic.rows:,} rows are labelled traffic"
    if traffic.quarantined:
        said += f"; {traffic.quarantined:,} are left out, as monitoring held the feed for broken"
    if traffic.incomplete:
        said += f"; {traffic.incomplete:,} are left out, as their version read fewer columns"
    return said


def inspect_data(spec: ModelSpec, as_of: datetime, settings: Settings) -> tuple[Snapshot, "Validation"]:
    """What `evergreen check` shows: the snapshot and its checks; trains nothing and asks no registry."""
    from evergreen.data.frame import read_snapshot
    from evergreen.stages.selection import check_selection
    from evergreen.validation.validate import validate

    snapshot = _take(spec, as_of, settings)
    found = validate(read_snapshot(snapshot.path), snapshot, spec, None)
    return snapshot, replace(found, warnings=(*found.warnings, *check_selection(spec, as_of, settings)))


def _take(spec: ModelSpec, as_of: datetime, settings: Settings) -> Snapshot:
    from evergreen.data.load import take_snapshot
    from evergreen.stages.feed import feed_of

    return take_snapshot(spec.data, spec.column_types, as_of, settings.snapshots, traffic=feed_of(spec, settings))
