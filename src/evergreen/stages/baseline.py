"""What a challenger said about the holdout, kept for the day it is champion and its traffic is watched."""

from dataclasses import replace
from typing import TYPE_CHECKING

from evergreen.evaluation.baseline import measure_baseline, write_baseline
from evergreen.evaluation.predict import Answers, Holdout
from evergreen.evaluation.result import Evaluation
from evergreen.registry.baseline import log_baseline
from evergreen.settings import Settings
from evergreen.spec.columns import PREDICTION
from evergreen.stages.open import tracking_of
from evergreen.stages.run import Job, reached

if TYPE_CHECKING:
    import pandas as pd


def keep_baseline(job: Job, holdout: Holdout, said: Answers, result: Evaluation, settings: Settings) -> None:
    """Keep answers, losses and importance with the run, and of numbers the raw inputs that are compared and captured.

    What is derived of datetimes is not kept: no window has it when the loss of its rows is estimated. `said` is what
    the challenger answered to the holdout.
    """
    spec = job.spec
    never = spec.serving.capture.leave_out
    inputs = [name for name in spec.compared_sources if name not in never]
    baseline = measure_baseline(holdout, said, inputs, spec.task, spec.training.metric, spec.monitoring.seed)
    baseline = replace(baseline, importance={each.column: each.mean for each in result.importance})
    table, facts = write_baseline(baseline, job.workspace)
    log_baseline(tracking_of(settings), reached(job.tracking).run_id, table, facts)


def as_column(said: Answers, frame: "pd.DataFrame") -> "pd.Series":
    """Answers as one column to profile: the second class's probability of two, else the label or number."""
    import pandas as pd

    binary = len(said.classes) == 2 and said.probabilities is not None
    values = said.probabilities[:, 1] if binary and said.probabilities is not None else said.predicted
    return pd.Series(values, index=frame.index, name=PREDICTION)
