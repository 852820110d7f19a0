"""One stage a file: Prefect's policy around one call into the library. Here stands what several of them share."""

import logging
from datetime import UTC, datetime
from typing import Any

from prefect.client.schemas.objects import State, TaskRun
from prefect.runtime import flow_run

from evergreen.errors import UnavailableError

# Prefect sends what stages say to the run's page, but leaves the level of these loggers at warnings; and the process of
# a run passes no other place before the first stage.
logging.getLogger("evergreen").setLevel(logging.INFO)


def may_recover(_task: Any, _run: TaskRun, state: State) -> bool:
    """A source that does not answer may answer later; a table that is wrong stays wrong."""
    return isinstance(state.result(raise_on_failure=False), UnavailableError)


def moment_of_run(as_of: datetime | None) -> datetime:
    """The moment that a run looks from, in UTC: the one that was asked for, or when it was due, as its retries do."""
    # Prefect's moments are of a class of their own, which nothing behind this line knows.
    moment = as_of or datetime.fromisoformat(flow_run.scheduled_start_time.isoformat())
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
