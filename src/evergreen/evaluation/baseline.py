"""What a model said about labelled rows that it never saw: what its answers to live traffic are held against."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.evaluation.losses import absolute_rows, brier_rows, log_loss_rows, square_rows
from evergreen.evaluation.outputs import FloatArray, Labels, Outputs, label_outputs, number_outputs, take
from evergreen.evaluation.predict import Answers, Holdout, encode

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 50_000
TABLE, FACTS = "baseline.parquet", "baseline.json"
_INPUT, _CHANCE = "input_", "probability_"


@dataclass(frozen=True)
class Loss:
    """The mean of a loss over so many labelled rows, and the standard deviation of a row's."""

    mean: float
    std: float
    rows: int


@dataclass(frozen=True, eq=False)
class Baseline:
    """A champion on its holdout.

    `losses` are of all its rows: `accuracy` (the share of wrong answers), `brier` and `log_loss` of classes, `mae` and
    `mse` of numbers; one that does not exist there is left out. `importance` is by raw input, in units of `metric`.
    `outputs` and `inputs` are of a seeded sample of at most 50,000 rows, in the order of the holdout; `inputs` has no
    columns for classes, whose estimate reads answers alone.
    """

    task: str
    metric: str
    losses: Mapping[str, Loss]
    outputs: Outputs
    inputs: "pd.DataFrame"
    importance: Mapping[str, float] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many rows the sample has."""
        return len(self.outputs.y)


def row_losses(outputs: Outputs, metric: str) -> FloatArray:
    """The loss of each row: 1 for a wrong answer (`accuracy`), else its part of brier, log_loss, mae or mse.

    NaN where it does not exist: a label is missing, or probabilities are.

    >>> row_losses(number_outputs([1.0, 2.0], [1.5, 2.0]), "mae")
    array([0.5, 0. ])
    """
    if isinstance(outputs, Labels):
        if metric == "accuracy":
            return np.where(outputs.y < 0, np.nan, (outputs.y != outputs.predicted).astype(np.float64))
        return brier_rows(outputs) if metric == "brier" else log_loss_rows(outputs)
    return square_rows(outputs) if metric == "mse" else absolute_rows(outputs)


def loss_names(task: str) -> tuple[str, ...]:
    """The losses of a task, its default first."""
    return ("mae", "mse") if task == "regression" else ("brier", "log_loss", "accuracy")


def measure_baseline(
    holdout: Holdout, answers: Answers, inputs: Sequence[str], task: str, metric: str, seed: int = 0
) -> Baseline:
    """The baseline of a model from its answers to the holdout; its importance is added by who has measured it.

    Of numbers the named `inputs` are kept, as far as the holdout has them.
    """
    (outputs,) = encode(holdout.y, [answers], task)
    losses = {name: row_losses(outputs, name) for name in loss_names(task)}
    kept = [name for name in inputs if name in holdout.frame.columns] if task == "regression" else []
    rows = _sample(len(outputs.y), seed)
    return Baseline(
        task=task,
        metric=metric,
        losses={name: _loss(values) for name, values in losses.items() if np.isfinite(values).any()},
        outputs=take(outputs, rows),
        inputs=holdout.frame[kept].iloc[rows].reset_index(drop=True),
    )


def write_baseline(baseline: Baseline, folder: Path) -> tuple[Path, Path]:
    """Two files in a folder: the sample, and everything else."""
    import pandas as pd

    table, facts = folder / TABLE, folder / FACTS
    columns: dict[str, Any] = {f"{_INPUT}{name}": baseline.inputs[name] for name in baseline.inputs}
    pd.DataFrame({**columns, **_columns(baseline.outputs)}).to_parquet(table)
    classes = list(baseline.outputs.classes) if isinstance(baseline.outputs, Labels) else []
    losses = {name: asdict(loss) for name, loss in baseline.losses.items()}
    kept = {"task": baseline.task, "metric": baseline.metric, "losses": losses, "classes": classes}
    facts.write_text(json.dumps({**kept, "importance": dict(baseline.importance)}, indent=1), encoding="utf-8")
    return table, facts


def read_baseline(table: Path, facts: Path) -> Baseline:
    """The inverse of `write_baseline`."""
    import pandas as pd

    frame, kept = pd.read_parquet(table), json.loads(facts.read_text(encoding="utf-8"))
    inputs = [name for name in frame.columns if name.startswith(_INPUT)]
    return Baseline(
        task=kept["task"],
        metric=kept["metric"],
        losses={name: Loss(**loss) for name, loss in kept["losses"].items()},
        outputs=_outputs(frame, kept["task"], kept["classes"]),
        inputs=frame[inputs].rename(columns=lambda name: name.removeprefix(_INPUT)),
        importance=kept["importance"],
    )


def _columns(outputs: Outputs) -> dict[str, Any]:
    if not isinstance(outputs, Labels):
        return {"target": outputs.y, "prediction": outputs.predicted}
    # A label that is missing is -1, which is the place of the last.
    names = np.array([*outputs.classes, None], dtype=object)
    chances = {} if outputs.probabilities is None else dict(zip(outputs.classes, outputs.probabilities.T, strict=True))
    columns = {f"{_CHANCE}{name}": column for name, column in chances.items()}
    return {"target": names[outputs.y], "prediction": names[outputs.predicted], **columns}


def _outputs(frame: "pd.DataFrame", task: str, classes: Sequence[str]) -> Outputs:
    if task == "regression":
        return number_outputs(frame["target"], frame["prediction"])
    chances = [f"{_CHANCE}{name}" for name in classes]
    matrix = frame[chances].to_numpy() if set(chances) <= set(frame.columns) else None
    return label_outputs(frame["target"], frame["prediction"], matrix, classes)


def _loss(values: FloatArray) -> Loss:
    known = values[np.isfinite(values)]
    return Loss(float(known.mean()), float(known.std()), len(known))


def _sample(rows: int, seed: int) -> Any:
    if rows <= MOST_ROWS:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, MOST_ROWS, replace=False))
