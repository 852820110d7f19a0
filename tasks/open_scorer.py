"""Task: who scores."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from evergreen.settings import Settings
from evergreen.stages import scorer as stage
from evergreen.stages.scorer import Scorer


@task(name="open", task_run_name="open", cache_policy=NO_CACHE, timeout_seconds=300)
def open_scorer(model: str, data: str | None) -> Scorer:
    """The champion, held against the ledger."""
    return stage.open_scorer(model, data, Settings.from_environment())
