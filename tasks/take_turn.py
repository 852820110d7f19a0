"""Who asks for a run, and whether it may start now."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from prefect.runtime import flow_run

from evergreen.drift.alert import DriftAlert
from evergreen.gate.decision import Reason
from evergreen.settings import Settings
from evergreen.stages import turn as stage
from evergreen.stages.commit import find_commit
from evergreen.stages.run import Origin, Request, require_past
from tasks import moment_of_run


@contextmanager
def take_turn(
    model: str, reason: Reason, as_of: datetime | None, alert: DriftAlert | None, *, dry_run: bool, force: bool
) -> Iterator[stage.Turn]:
    """Hold the model's turn for a run that looks from `as_of`, or else from when it was due, as its retries do."""
    # Whoever pauses a schedule in the UI and resumes it has lost its parameters, and with them the reason.
    if reason is Reason.MANUAL and "auto-scheduled" in flow_run.tags:
        reason = Reason.SCHEDULED
    moment = moment_of_run(as_of)
    now = datetime.now(UTC)
    if as_of is not None:
        require_past(moment, now, "as_of")
    page = flow_run.ui_url if (flow_run.ui_url or "").startswith("http") else None
    origin = Origin(getpass.getuser(), find_commit(Path.cwd()), flow_run.id, page)
    request = Request(model, moment, reason, dry_run, force, alert)
    with stage.take_turn(request, origin, Settings.from_environment(), now) as turn:
        yield turn
