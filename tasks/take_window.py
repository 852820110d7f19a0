"""Task: the window of live traffic that is due."""

from datetime import UTC, datetime

from prefect import task
from prefect.cache_policies import NO_CACHE

from evergreen.settings import Settings
from evergreen.stages import monitor as stage
from evergreen.stages.monitor import Due, NotDue


@task(name="take", task_run_name="take", cache_policy=NO_CACHE, timeout_seconds=900)
def take_window(model: str, early: bool) -> Due | NotDue:
    """From the end of the last one, of the champion that the ledger knows; or why there is none yet."""
    return stage.take_window(model, Settings.from_environment(), datetime.now(UTC), early=early)
