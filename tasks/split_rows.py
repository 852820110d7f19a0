"""Task: which rows train and which are held out."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from evergreen.stages.run import Job
from evergreen.stages.train import split
from evergreen.training.handles import RowSplit


@task(name="split", task_run_name="split", cache_policy=NO_CACHE, timeout_seconds=600)
def split_rows(job: Job) -> RowSplit:
    """Divide the labelled rows into training and holdout."""
    return split(job)
