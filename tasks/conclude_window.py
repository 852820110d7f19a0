"""Task: a window of live traffic is written, and its event with it."""

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from evergreen.monitoring.policy import Judged
from evergreen.report.window_text import to_markdown
from evergreen.settings import Settings
from evergreen.stages import monitor as stage
from evergreen.stages.conclude import artifact_key
from evergreen.stages.monitor import Due, Seen
from evergreen.store.window import Window


@task(name="conclude", task_run_name="conclude", cache_policy=NO_CACHE, timeout_seconds=300)
def conclude_window(due: Due, seen: Seen, judged: Judged) -> Window:
    """One row of the store; what is to be told waits there for whoever tends."""
    window = stage.conclude_window(due, seen, judged, Settings.from_environment())
    create_markdown_artifact(
        to_markdown(window),
        key=artifact_key(window.model, "window"),
        description="What was seen in the newest window of live traffic, and what follows.",
    )
    return window
