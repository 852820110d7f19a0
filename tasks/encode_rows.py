"""Task: features of every fold, once for all recipes that read them the same way."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from evergreen.stages.run import Job
from evergreen.stages.train import encode
from evergreen.training.estimators import Encoding
from evergreen.training.handles import Folds, RowSplit


@task(name="features", task_run_name="features {encoding}", cache_policy=NO_CACHE, timeout_seconds=3600)
def encode_rows(job: Job, split: RowSplit, encoding: Encoding) -> Folds:
    """Fit the preprocessing on each fold and leave matrices on disk."""
    return encode(job, split, encoding)
