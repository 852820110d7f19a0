"""Task: register what passed its gate."""

from datetime import UTC, datetime

from prefect import task
from prefect.cache_policies import NO_CACHE

from evergreen.settings import Settings
from evergreen.stages.promote import register
from evergreen.stages.run import Evidence, Job


@task(name="register", task_run_name="register", cache_policy=NO_CACHE, timeout_seconds=600)
def register_version(job: Job, evidence: Evidence) -> Evidence:
    """Make the challenger a registered version; doing it again finds the same one."""
    return register(job, evidence, Settings.from_environment(), datetime.now(UTC))
