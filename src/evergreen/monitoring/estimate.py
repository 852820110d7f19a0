"""The loss of answers whose labels are not in yet, from what the champion said about its holdout."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evergreen.checks import Outcome
from evergreen.evaluation.baseline import Baseline, Loss
from evergreen.evaluation.outputs import FloatArray, Outputs
from evergreen.store.window import Signal, SignalKind

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True, eq=False)
class Estimator:
    """What a champion's answers are expected to cost, learnt on its holdout."""

    metric: str
    holdout: Loss

    def expected(self, frame: "pd.DataFrame", outputs: Outputs) -> FloatArray:
        """The loss that is expected of each row."""
        raise NotImplementedError


def fit_estimator(
    baseline: Baseline, metric: str, columns: Collection[str] | None = None, seed: int = 0
) -> Estimator | str:
    """Learn it, once for a champion and a metric; a sentence why where that cannot be done.

    `columns` are those that windows have, all of the baseline's when left out.
    """
    return "not yet"


def estimate_loss(fitted: Estimator | str, frame: "pd.DataFrame", answers: "pa.Table") -> Signal:
    """The estimated loss of a window with the band that it stays in without drift.

    `frame` is canonical, and in the order of `answers`. A sentence in place of an estimator says why there is none.
    """
    return Signal(SignalKind.ESTIMATE, Outcome.UNKNOWN, str(fitted))
