"""Permutation importance: what the metric loses when one raw column is shuffled."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.evaluation.canvas import GREEN, Picture, note, shorten
from evergreen.evaluation.metrics import METRICS, measure
from evergreen.evaluation.outputs import take
from evergreen.evaluation.predict import Contender, Holdout, answer, encode
from evergreen.evaluation.result import Importance

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

ROWS = 1000
REPEATS = 3
SHOWN = 15
_MOST_COLUMNS = 60


def permutation_importance(metric: str, model: Any, holdout: Holdout, seed: int = 0) -> tuple[Importance, ...]:
    """Mean and standard deviation of the loss per raw column, largest first.

    Breiman, Random Forests (2001). Measured on at most 1,000 rows and 60 columns, three shuffles each. A column that
    the model does not read is left out. Empty where the metric does not exist on these rows.
    """
    rows = _sample(holdout, seed)
    (base,) = _scores(metric, model, rows, rows.frame)
    if base is None:
        return ()
    rng = np.random.default_rng(seed)
    columns = _read_columns(model, rows.frame)[:_MOST_COLUMNS]
    scores = [_scores(metric, model, rows, _shuffled(rows.frame, column, rng)) for column in columns]
    sign = 1 if METRICS[metric].greater_is_better else -1
    losses = [sign * np.array([base - value for value in values if value is not None]) for values in scores]
    pairs = zip(columns, losses, strict=True)
    found = [Importance(column, float(loss.mean()), float(loss.std())) for column, loss in pairs if len(loss)]
    return tuple(sorted(found, key=lambda each: -each.mean))


def draw_importance(metric: str, found: Sequence[Importance], picture: Picture) -> "Figure":
    """The most important columns as bars, with one standard deviation over the shuffles."""
    shown = found[:SHOWN]
    figure, axes = picture.blank("What the challenger relies on", size=(6.4, 1.6 + 0.3 * max(len(shown), 6)))
    if not shown:
        note(axes, f"{metric} cannot be computed on these rows")
        return figure
    axes.barh(range(len(shown)), [each.mean for each in shown], xerr=[each.std for each in shown], color=GREEN,
              alpha=0.85, height=0.62, error_kw={"elinewidth": 1, "alpha": 0.6})  # fmt: skip
    axes.set_yticks(range(len(shown)), [shorten(each.column) for each in shown])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"loss of {metric} when the column is shuffled")
    return figure


def _shuffled(frame: "pd.DataFrame", column: str, rng: np.random.Generator) -> "pd.DataFrame":
    """All shuffles of a column under each other: predicting them at once costs little more than one."""
    rows = len(frame)
    repeated = frame.iloc[np.tile(np.arange(rows), REPEATS)].reset_index(drop=True)
    orders = np.concatenate([rng.permutation(rows) for _ in range(REPEATS)])
    return repeated.assign(**{column: frame[column].take(orders).reset_index(drop=True)})


def _scores(metric: str, model: Any, rows: Holdout, frame: "pd.DataFrame") -> list[float | None]:
    """The metric of each copy of the rows in `frame`."""
    import pandas as pd

    copies = len(frame) // len(rows.y)
    y = pd.concat([rows.y] * copies, ignore_index=True)
    (outputs,) = encode(y, [answer(Contender(model), frame)], METRICS[metric].task)
    parts = np.split(np.arange(len(frame)), copies)
    return [measure(METRICS[metric], take(outputs, part)) for part in parts]


def _read_columns(model: Any, frame: "pd.DataFrame") -> list[str]:
    """Columns whose removal the model notices: by name where it keeps them, else all."""
    names = getattr(model, "feature_names_in_", None)
    return [column for column in frame.columns if names is None or column in set(names)]


def _sample(holdout: Holdout, seed: int) -> Holdout:
    if len(holdout.y) <= ROWS:
        return holdout
    rows = np.sort(np.random.default_rng(seed).choice(len(holdout.y), ROWS, replace=False))
    return Holdout(holdout.frame.iloc[rows], holdout.y.iloc[rows])
