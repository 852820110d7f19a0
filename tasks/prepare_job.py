"""Task: name the training by what it depends on."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from evergreen.data.snapshot import Snapshot
from evergreen.settings import Settings
from evergreen.stages import track as stage
from evergreen.stages.run import Job, Run


@task(name="prepare", task_run_name="prepare", cache_policy=NO_CACHE, timeout_seconds=300)
def prepare_job(run: Run, snapshot: Snapshot) -> Job:
    """The job of a run: its training key and its scratch space."""
    return stage.prepare_job(run, snapshot, Settings.from_environment())
