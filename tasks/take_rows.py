"""Task: the rows to score."""

from datetime import UTC, datetime
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.runtime import flow_run
from prefect.tasks import exponential_backoff

from evergreen.data.snapshot import Snapshot
from evergreen.errors import UnavailableError
from evergreen.settings import Settings
from evergreen.stages import scorer as stage
from evergreen.stages.scorer import Scorer


def _may_recover(_task: Any, _run: TaskRun, state: State) -> bool:
    """A source that does not answer may answer later; a table that is wrong stays wrong."""
    return isinstance(state.result(raise_on_failure=False), UnavailableError)


@task(
    name="load",
    task_run_name="load",
    cache_policy=NO_CACHE,
    timeout_seconds=3600,
    retries=2,
    retry_delay_seconds=exponential_backoff(backoff_factor=5),
    retry_condition_fn=_may_recover,
)
def take_rows(scorer: Scorer, as_of: datetime | None) -> Snapshot:
    """An immutable file of them, as of a moment, or else of when the run was due, as its retries see them."""
    # Prefect's moments are of a class of their own, which nothing behind this line knows.
    moment = as_of or datetime.fromisoformat(flow_run.scheduled_start_time.isoformat())
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return stage.take_rows(scorer, moment, Settings.from_environment())
