"""The metrics a spec may name, in one registry.

Each metric is computed one way only: the score of a fold, of the holdout and of a bootstrap resample come from the same
formula. Targets of a classification are class names; with two classes the second in sorted order is the positive one.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from evergreen.errors import SpecError
from evergreen.evaluation import confusion, losses, ranking
from evergreen.evaluation.outputs import FloatArray, IntArray, Outputs, label_outputs, number_outputs

Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class Sums:
    """A metric that is a formula over sums: `finish` of the total of `sums(outputs, unit of each row, units)`.

    `finish` maps (..., columns) to (...), with NaN where the metric does not exist.
    """

    sums: Callable[[Any, IntArray, int], FloatArray]
    finish: Callable[[FloatArray], FloatArray]

    def value(self, outputs: Outputs) -> float:
        """The metric over all rows once."""
        unit = np.zeros(len(outputs.y), dtype=np.int64)
        return float(self.finish(self.sums(outputs, unit, 1))[0])


@dataclass(frozen=True)
class Ordered:
    """A metric that needs the rows sorted: `prepare` sorts once and returns a function of how often each row counts."""

    prepare: Callable[[Outputs], Callable[[FloatArray], float]]

    def value(self, outputs: Outputs) -> float:
        """The metric over all rows once."""
        return self.prepare(outputs)(np.ones(len(outputs.y)))


@dataclass(frozen=True)
class Metric:
    """A metric by name. `needs` says what a model must give: predicted labels (or numbers), or probabilities."""

    name: str
    greater_is_better: bool
    task: Task
    needs: Literal["labels", "probabilities"]
    statistic: Sums | Ordered


def _counted(name: str, formula: Callable[[confusion.Counts], FloatArray]) -> Metric:
    return Metric(name, True, "classification", "labels", Sums(confusion.count, confusion.finish(formula)))


def _probable(name: str, greater_is_better: bool, statistic: Sums | Ordered) -> Metric:
    return Metric(name, greater_is_better, "classification", "probabilities", statistic)


def _numeric(name: str, greater_is_better: bool, statistic: Sums | Ordered) -> Metric:
    return Metric(name, greater_is_better, "regression", "labels", statistic)


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        _counted("accuracy", confusion.accuracy),
        _counted("balanced_accuracy", confusion.balanced_accuracy),
        _counted("precision", confusion.positive(confusion.precision)),
        _counted("recall", confusion.positive(confusion.recall)),
        _counted("f1", confusion.positive(confusion.f1)),
        _counted("precision_weighted", confusion.weighted(confusion.precision)),
        _counted("recall_weighted", confusion.weighted(confusion.recall)),
        _counted("f1_weighted", confusion.weighted(confusion.f1)),
        _counted("f1_macro", confusion.macro(confusion.f1)),
        _probable("log_loss", False, Sums(losses.summed(losses.log_loss_rows), losses.mean)),
        _probable("brier", False, Sums(losses.summed(losses.brier_rows), losses.mean)),
        _probable("roc_auc", True, Ordered(ranking.area(ranking.roc_area))),
        _probable("pr_auc", True, Ordered(ranking.area(ranking.average_precision))),
        _numeric("mae", False, Sums(losses.summed(losses.absolute_rows), losses.mean)),
        _numeric("rmse", False, Sums(losses.summed(losses.square_rows), losses.root_mean)),
        _numeric("r2", True, Sums(losses.summed(losses.explained_rows), losses.explained)),
        _numeric("mape", False, Sums(losses.summed(losses.percentage_rows), losses.mean)),
        _numeric("median_absolute_error", False, Ordered(ranking.median_absolute_error)),
    )
}


def metric_names(task: str) -> tuple[str, ...]:
    """The metrics of a task, in the order a report shows them."""
    return tuple(name for name, metric in METRICS.items() if metric.task == task)


def require_metric(name: str, task: str, where: str) -> Metric:
    """The metric of that name; raises SpecError with the choices where the task has none.

    >>> require_metric("rmse", "regression", "configs/prices.yaml: training.metric").greater_is_better
    False
    """
    metric = METRICS.get(name)
    if metric is None or metric.task != task:
        wrong = "unknown metric" if metric is None else f"not a metric of a {task}:"
        raise SpecError(f"{where}: {wrong} {name!r}; choose one of {', '.join(metric_names(task))}")
    return metric


def score(
    names: Iterable[str], y_true: Any, predictions: Any, probabilities: Any = None, classes: Sequence[str] = ()
) -> dict[str, float | None]:
    """The named metrics over labelled rows; None for one that does not exist there.

    `probabilities` has a column for each of `classes`. A metric does not exist with a single class where it compares
    classes, with a constant target for `r2`, a target of 0 for `mape`, without probabilities where it reads them, or
    where a label or prediction is missing.

    >>> score(["accuracy", "roc_auc"], ["no", "no"], ["no", "yes"], [[0.9, 0.1], [0.4, 0.6]], ["no", "yes"])
    {'accuracy': 0.5, 'roc_auc': None}
    """
    chosen = [METRICS[name] for name in names]
    if all(metric.task == "regression" for metric in chosen):
        return score_outputs(chosen, number_outputs(y_true, predictions))
    return score_outputs(chosen, label_outputs(y_true, predictions, probabilities, classes))


def score_outputs(metrics: Iterable[Metric], outputs: Outputs) -> dict[str, float | None]:
    """Like `score`, on outputs that are encoded already."""
    return {metric.name: measure(metric, outputs) for metric in metrics}


def measure(metric: Metric, outputs: Outputs) -> float | None:
    """One metric; None where it does not exist."""
    if not len(outputs.y):
        return None
    value = metric.statistic.value(outputs)
    return float(value) if math.isfinite(value) else None
