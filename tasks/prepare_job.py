"""Task: name the training and see whether it has been decided on before."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from evergreen.data.snapshot import Snapshot
from evergreen.settings import Settings
from evergreen.stages import track as stage
from evergreen.stages.run import Job, Run


@task(name="find twin", task_run_name="find twin", cache_policy=NO_CACHE, timeout_seconds=300)
def prepare_job(run: Run, snapshot: Snapshot) -> Job:
    """The job of a run, with its twin if it has one."""
    return stage.prepare_job(run, snapshot, Settings.from_environment())
