"""Task: from a source to a snapshot."""

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.tasks import exponential_backoff

from evergreen.data.snapshot import Snapshot
from evergreen.settings import Settings
from evergreen.stages.load import load
from evergreen.stages.run import Run
from tasks import may_recover


@task(
    name="load",
    task_run_name="load",
    cache_policy=NO_CACHE,
    timeout_seconds=3600,
    retries=2,
    retry_delay_seconds=exponential_backoff(backoff_factor=5),
    retry_condition_fn=may_recover,
)
def load_snapshot(run: Run) -> Snapshot:
    """The data as of the run's moment, as an immutable file."""
    return load(run, Settings.from_environment())
