"""Trials of a search as child runs."""

from collections.abc import Sequence
from typing import Any

from evergreen.registry.answers import answering
from evergreen.registry.handles import RunHandle
from evergreen.registry.tracking import Tracking
from evergreen.training.handles import TrialResult

_LONGEST_NAME = 200


def log_trials(tracking: Tracking, parent: RunHandle, results: Sequence[TrialResult]) -> tuple[RunHandle, ...]:
    """One finished child run a trial, in the order given: parameters, score per fold as steps, mean, std, seconds."""
    return tuple(_log_trial(tracking, parent, result) for result in results)


def _log_trial(tracking: Tracking, parent: RunHandle, result: TrialResult) -> RunHandle:
    with answering(tracking.uri):
        from mlflow.entities import Param
        from mlflow.utils.time import get_current_time_millis

        ended = get_current_time_millis()
        started = ended - int(result.seconds * 1000)
        tags = {
            "mlflow.parentRunId": parent.run_id,
            "evergreen.trial": result.recipe.kind,
            "evergreen.reused": str(result.reused).lower(),
        }
        name = result.recipe.label[:_LONGEST_NAME]
        run = tracking.client.create_run(parent.experiment_id, start_time=started, run_name=name, tags=tags)
        child = RunHandle(run.info.run_id, parent.experiment_id)
        params = [Param(key, str(value)) for key, value in _params(result).items()]
        tracking.client.log_batch(child.run_id, metrics=_metrics(result, ended), params=params)
        tracking.client.set_terminated(child.run_id, end_time=ended)
        return RunHandle(child.run_id, child.experiment_id, tracking.url(child))


def _params(result: TrialResult) -> dict[str, Any]:
    recipe = result.recipe
    named = {"estimator": recipe.estimator} if recipe.estimator else {}
    return {"kind": recipe.kind, "encoding": recipe.encoding, **named, **recipe.params}


def _metrics(result: TrialResult, now: int) -> list[Any]:
    from mlflow.entities import Metric

    folds = [Metric(f"{result.metric}_fold", score, now, fold) for fold, score in enumerate(result.scores)]
    summary = {
        f"{result.metric}_mean": result.mean,
        f"{result.metric}_std": result.std,
        "seconds": result.seconds,
        "rows": float(result.rows),
    }
    return [*folds, *(Metric(name, value, now, 0) for name, value in summary.items())]
