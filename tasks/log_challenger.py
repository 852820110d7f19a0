"""Task: trials and challenger into tracking."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from evergreen.settings import Settings
from evergreen.stages import train as stage
from evergreen.stages.run import Evidence, Job
from evergreen.training.handles import FittedModel


@task(name="log", task_run_name="log", cache_policy=NO_CACHE, timeout_seconds=1800)
def log_challenger(job: Job, evidence: Evidence, models: dict[str, FittedModel]) -> Evidence:
    """Every trial a child run, the challenger an artifact of the run. `models` are those of trials, by recipe key."""
    return stage.log_challenger(job, evidence, models, Settings.from_environment())
