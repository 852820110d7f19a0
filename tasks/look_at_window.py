"""Task: what is seen in a window of live traffic."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from evergreen.settings import Settings
from evergreen.stages import look as stage
from evergreen.stages.monitor import Due, Seen


@task(name="look", task_run_name="look", cache_policy=NO_CACHE, timeout_seconds=3600)
def look_at_window(due: Due) -> Seen:
    """Faults, drift, losses and the health of serving, from one read of its rows."""
    return stage.look_at_window(due, Settings.from_environment())
