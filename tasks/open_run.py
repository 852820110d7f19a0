"""Task: read the spec and the champion, and finish what an interrupted promotion left."""

from datetime import UTC, datetime

from prefect import task
from prefect.cache_policies import NO_CACHE

from evergreen.settings import Settings
from evergreen.stages import open as stage
from evergreen.stages.run import Run
from evergreen.stages.turn import Turn


@task(name="open", task_run_name="open", cache_policy=NO_CACHE, timeout_seconds=300)
def open_run(turn: Turn) -> Run:
    """The run of whoever has the turn."""
    return stage.open_run(turn.request, turn.origin, Settings.from_environment(), datetime.now(UTC))
