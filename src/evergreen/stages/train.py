"""From a snapshot to a fitted model: split, folds, trials, fit. Every product is found again by its name."""

import logging
from dataclasses import replace

from evergreen.errors import DataError
from evergreen.registry.model import log_model
from evergreen.registry.trials import log_trials
from evergreen.settings import Settings
from evergreen.stages.open import tracking_of
from evergreen.stages.run import Evidence, Job, reached
from evergreen.stages.start import forget_start, keep_start, read_start
from evergreen.training.continued import why_not
from evergreen.training.encode import encode_folds, plan_folds
from evergreen.training.fit import fit, load_model
from evergreen.training.handles import Encoding, FittedModel, Folds, Recipe, RowSplit, TrialResult
from evergreen.training.recipes import plan
from evergreen.training.search import Plan
from evergreen.training.split import read_positions, split_rows
from evergreen.training.table import TrainingTable
from evergreen.training.trial import cross_validate

log = logging.getLogger("evergreen.train")

# Enough rows for a signature, and for requests that a registered model must answer.
_EXAMPLE_ROWS = 1000
_NAMED = 5


def plan_search(job: Job, rows: RowSplit, settings: Settings) -> Plan:
    """The recipes that are tried, and in which rounds.

    With `training.start: champion` those that can go on from the champion do; of the others the log says why not.
    """
    search = plan(job.spec.training, job.spec.task)
    start = keep_start(job, settings)
    if start is None:
        return search
    table = TrainingTable.of(job.spec, job.snapshot, rows, start)
    reasons = {recipe.key: why_not(recipe, table, job.spec.training.seed) for recipe in search.recipes}
    if not all(reasons.values()) and (why := _why_no_folds(job, table)):
        reasons = dict.fromkeys(reasons, why)
    for why in dict.fromkeys(reasons.values()):
        names = [recipe.label for recipe in search.recipes if reasons[recipe.key] == why]
        said = (
            f"from scratch, as {why}" if why else f"on from version {start.version}, with what is newer than its rows"
        )
        log.info("start       %s: %s", ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else ""), said)
    if all(reasons.values()):
        forget_start(job)
        return search
    recipes = (replace(r, encoding="champion") if not reasons[r.key] else r for r in search.recipes)
    return replace(search, recipes=tuple(recipes))


def _why_no_folds(job: Job, table: TrainingTable) -> str:
    """Why recipes cannot be held against each other on rows that are new to the champion; empty where they can."""
    try:
        plan_folds(table, job.spec.training)
    except DataError as error:
        return f"rows that are new to the champion are too few ({str(error).partition(';')[0]})"
    return ""


def split(job: Job) -> RowSplit:
    """Divide the labelled rows into training and holdout."""
    data, training = job.spec.data, job.spec.training
    rows = split_rows(job.snapshot.path, data, training.split, job.spec.task, job.workspace)
    log.info("split       %s rows to train on, %s held out", f"{rows.train_rows:,}", f"{rows.holdout_rows:,}")
    return rows


def encode(job: Job, rows: RowSplit, encoding: Encoding) -> Folds:
    """Fit the preprocessing of every fold once, for all recipes that read this encoding."""
    folds = encode_folds(_table(job, rows), job.spec.training, encoding, job.workspace)
    log.info("features    %d folds, %d columns (%s)", folds.folds, folds.columns, encoding)
    return folds


def try_recipe(job: Job, recipe: Recipe, folds: Folds, share: float) -> TrialResult:
    """Score a recipe on every fold."""
    training = job.spec.training
    result = cross_validate(recipe, folds, training.metric, training.seed, job.workspace, share)
    again = ", found from before" if result.reused else f", {result.seconds:.1f} s"
    log.info("trial       %s: %s %.4f ± %.4f%s", recipe.label, result.metric, result.mean, result.std, again)
    return result


def fit_recipe(job: Job, rows: RowSplit, recipe: Recipe) -> FittedModel:
    """Fit a recipe on all training rows."""
    fitted = fit(recipe, _table(job, rows), job.spec.training.seed, job.workspace)
    again = "found from before" if fitted.reused else f"{fitted.seconds:.1f} s"
    log.info("train       %s on %s rows, %s", recipe.label, f"{fitted.train_rows:,}", again)
    return fitted


def log_challenger(job: Job, evidence: Evidence, fits: dict[str, FittedModel], settings: Settings) -> Evidence:
    """Put trials, their models where each has one, and the challenger into tracking."""
    from evergreen.data.frame import read_snapshot

    fitted, rows = reached(evidence.fitted), reached(evidence.split)
    tracking, run = tracking_of(settings), reached(job.tracking)
    children = log_trials(tracking, run, evidence.trials)
    for child, trial in zip(children, evidence.trials, strict=True):
        if trial.recipe.key in fits:
            tracking.log_artifacts(child.run_id, [fits[trial.recipe.key].path], "model")
    recipe = fitted.recipe
    tracking.log_params(run.run_id, {"kind": recipe.kind, **recipe.params, "train_rows": fitted.train_rows})
    holdout = read_positions(rows)[1][:_EXAMPLE_ROWS]
    example = read_snapshot(job.snapshot.path, list(job.spec.raw_inputs), holdout)
    logged = log_model(tracking, run.run_id, load_model(fitted.path, fitted.digest), example, requirements())
    log.info("log         %.1f MB as %s", logged.size_mb, logged.serialization)
    return evidence.add(logged=logged)


def requirements() -> list[str]:
    """What the saved pipeline needs to be loaded, pinned to what it was trained with."""
    from importlib.metadata import version

    names = ("numpy", "scipy", "pandas", "pyarrow", "scikit-learn", "skops", "cloudpickle")
    return [f"{name}=={version(name)}" for name in names]


def _table(job: Job, rows: RowSplit) -> TrainingTable:
    return TrainingTable.of(job.spec, job.snapshot, rows, read_start(job))
