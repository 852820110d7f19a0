"""Task: the rows to score."""

from datetime import datetime

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.tasks import exponential_backoff

from evergreen.data.snapshot import Snapshot
from evergreen.settings import Settings
from evergreen.stages import scorer as stage
from evergreen.stages.scorer import Scorer
from tasks import may_recover, moment_of_run


@task(
    name="load",
    task_run_name="load",
    cache_policy=NO_CACHE,
    timeout_seconds=3600,
    retries=2,
    retry_delay_seconds=exponential_backoff(backoff_factor=5),
    retry_condition_fn=may_recover,
)
def take_rows(scorer: Scorer, as_of: datetime | None) -> Snapshot:
    """An immutable file of them, as of a moment, or else of when the run was due, as its retries see them."""
    return stage.take_rows(scorer, moment_of_run(as_of), Settings.from_environment())
