"""Task: read the spec and the champion, and finish what an interrupted promotion left."""

import getpass
from datetime import UTC, datetime
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from evergreen.gate.decision import Reason
from evergreen.settings import Settings
from evergreen.stages import open as stage
from evergreen.stages.commit import find_commit
from evergreen.stages.run import Origin, Request, Run


@task(name="open", task_run_name="open", cache_policy=NO_CACHE, timeout_seconds=300)
def open_run(model: str, reason: Reason, as_of: datetime | None, *, dry_run: bool, force: bool) -> Run:
    """The run, looking from `as_of` or else from the moment it was due, so that a retry looks from the same one."""
    # Prefect's moments are of a class of their own, which nothing behind this line knows.
    moment = as_of or datetime.fromisoformat(flow_run.scheduled_start_time.isoformat())
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    url = flow_run.ui_url
    origin = Origin(
        getpass.getuser(), find_commit(Path.cwd()), flow_run.id, url if url and url.startswith("http") else None
    )
    request = Request(model, moment, reason, dry_run, force)
    return stage.open_run(request, origin, Settings.from_environment(), datetime.now(UTC))
