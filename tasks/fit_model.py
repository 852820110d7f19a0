"""Task: a final model."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from evergreen.stages.run import Job
from evergreen.stages.train import fit_recipe
from evergreen.training.handles import FittedModel, Recipe, RowSplit


@task(name="train", task_run_name="train {recipe.label}", cache_policy=NO_CACHE, timeout_seconds=6 * 3600)
def fit_model(job: Job, split: RowSplit, recipe: Recipe) -> FittedModel:
    """Fit a recipe on all training rows."""
    return fit_recipe(job, split, recipe)
