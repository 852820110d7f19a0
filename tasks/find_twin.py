"""Task: was this decided before?"""

from prefect import task
from prefect.cache_policies import NO_CACHE

from evergreen.settings import Settings
from evergreen.stages import track as stage
from evergreen.stages.run import Evidence, Job


@task(name="find twin", task_run_name="find twin", cache_policy=NO_CACHE, timeout_seconds=300)
def find_twin(job: Job, evidence: Evidence) -> Evidence:
    """Settle the run where an earlier decision answers it."""
    return stage.find_twin(job, evidence, Settings.from_environment())
