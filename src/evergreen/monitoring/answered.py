"""Captured answers in the form that every loss reads."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from evergreen.evaluation.baseline import Baseline
from evergreen.evaluation.outputs import Labels, Outputs, label_outputs, number_outputs

if TYPE_CHECKING:
    import pyarrow as pa

_CHANCE = "probability_"


def loss_metric(wanted: str | None, baseline: Baseline) -> str:
    """The loss that a spec asks for; left out, brier of classes and mae of numbers.

    A model that gives no probabilities is measured by its wrong answers.
    """
    if baseline.task == "regression":
        return wanted or "mae"
    silent = isinstance(baseline.outputs, Labels) and baseline.outputs.probabilities is None
    return "accuracy" if silent and wanted in (None, "brier", "log_loss") else wanted or "brier"


def read_answers(answers: "pa.Table", numeric: bool) -> Outputs:
    """Rows of one version: what they said, and what came true where `answers` has a column `label`.

    Without labels every target is missing: -1 of classes, NaN of numbers.
    """
    labels = answers["label"].to_pylist() if "label" in answers.column_names else [None] * answers.num_rows
    predictions = answers["prediction"].to_pylist()
    if numeric:
        return number_outputs(labels, predictions)
    classes, chances = _chances(answers)
    return label_outputs(labels, predictions, chances, classes)


def _chances(answers: "pa.Table") -> tuple[Sequence[str], Any]:
    """Classes of a version with their probabilities; None where it gave none."""
    import numpy as np

    # Classes of other versions are null here.
    columns = [
        name
        for name in answers.column_names
        if name.startswith(_CHANCE) and answers[name].null_count < answers.num_rows
    ]
    if not columns:
        return [], None
    matrix = np.column_stack([answers[name].to_numpy().astype(np.float64) for name in columns])
    return [name.removeprefix(_CHANCE) for name in columns], matrix
