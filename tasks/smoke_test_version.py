"""Task: does the registered artifact answer in a fresh process?"""

from prefect import task
from prefect.cache_policies import NO_CACHE

from evergreen.settings import Settings
from evergreen.stages.promote import smoke
from evergreen.stages.run import Evidence


@task(name="smoke test", task_run_name="smoke test", cache_policy=NO_CACHE, timeout_seconds=600)
def smoke_test_version(evidence: Evidence) -> Evidence:
    """Put the stored requests to the registered version; a wrong answer rejects it."""
    return smoke(evidence, Settings.from_environment())
