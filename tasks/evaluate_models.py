"""Task: challenger and champion on the same holdout."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from evergreen.settings import Settings
from evergreen.stages import evaluate as stage
from evergreen.stages.run import Evidence, Job


@task(name="evaluate", task_run_name="evaluate", cache_policy=NO_CACHE, timeout_seconds=3600)
def evaluate_models(job: Job, evidence: Evidence) -> Evidence:
    """Score both models and compare them row by row."""
    return stage.evaluate_models(job, evidence, Settings.from_environment())
