"""What a model that ignores its inputs would score: the least that a challenger must beat."""

from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.evaluation.metrics import Metric, measure
from evergreen.evaluation.outputs import label_outputs, number_outputs

if TYPE_CHECKING:
    import pandas as pd


def score_dummy(metric: Metric, train_y: "pd.Series[Any]", y: "pd.Series[Any]") -> float | None:
    """The metric of the best constant answer, learned from the training targets.

    Classification: the most frequent class, with the shares of the classes as probabilities. Regression: the mean for
    metrics of squared errors, the median for the others.
    """
    known = train_y.dropna()
    if known.empty:
        return None
    if metric.task == "regression":
        constant = known.mean() if metric.name in ("rmse", "r2") else known.median()
        return measure(metric, number_outputs(y, np.full(len(y), float(constant))))
    shares = known.astype(object).value_counts(normalize=True).sort_index(key=lambda names: names.astype(str))
    classes = [str(name) for name in shares.index]
    answer = classes[int(np.argmax(shares.to_numpy()))]
    probabilities = np.tile(shares.to_numpy(), (len(y), 1))
    return measure(metric, label_outputs(y, [answer] * len(y), probabilities, classes))
