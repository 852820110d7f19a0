"""Task: what a window of live traffic asks for."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from evergreen.monitoring.policy import Judged
from evergreen.settings import Settings
from evergreen.stages import monitor as stage
from evergreen.stages.monitor import Due, Seen


@task(name="decide", task_run_name="decide", cache_policy=NO_CACHE, timeout_seconds=300)
def judge_window(due: Due, seen: Seen) -> Judged:
    """The verdict, from its signals, those of the windows before it, and the rules of the spec."""
    return stage.judge_window(due, seen, Settings.from_environment())
