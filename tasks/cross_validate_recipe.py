"""Task: one trial."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from evergreen.stages.run import Job
from evergreen.stages.train import try_recipe
from evergreen.training.handles import Folds, Recipe, TrialResult


@task(name="trial", task_run_name="trial {recipe.label}", cache_policy=NO_CACHE, timeout_seconds=6 * 3600)
def cross_validate_recipe(job: Job, recipe: Recipe, folds: Folds, share: float) -> TrialResult:
    """Score a recipe on every fold."""
    return try_recipe(job, recipe, folds, share)
