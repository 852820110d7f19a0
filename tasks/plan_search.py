"""Task: which recipes are tried, and which of them go on from the champion."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from evergreen.settings import Settings
from evergreen.stages import train
from evergreen.stages.run import Job
from evergreen.training.handles import RowSplit
from evergreen.training.search import Plan


@task(name="search", cache_policy=NO_CACHE, timeout_seconds=600)
def plan_search(job: Job, split: RowSplit) -> Plan:
    """The recipes and their rounds."""
    return train.plan_search(job, split, Settings.from_environment())
