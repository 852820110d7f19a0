"""Permutation importance: what the metric loses when one raw column is shuffled."""

from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.evaluation.canvas import GREEN, Picture, note, shorten
from evergreen.evaluation.metrics import METRICS, measure
from evergreen.evaluation.outputs import FloatArray
from evergreen.evaluation.predict import Contender, Holdout, answer, encode

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

ROWS = 2000
REPEATS = 3
SHOWN = 15
_MOST_COLUMNS = 60


def permutation_importance(metric: str, model: Any, holdout: Holdout, seed: int = 0) -> "pd.DataFrame":
    """Mean and standard deviation of the loss per raw column, largest first: columns `column`, `mean`, `std`.

    Breiman, Random Forests (2001). Measured on at most 2,000 rows and 60 columns, three shuffles each. A column that
    the model does not read is left out. Empty where the metric does not exist on these rows.
    """
    import pandas as pd

    rows = _sample(holdout, seed)
    base = _score(metric, model, rows.frame, rows.y)
    rng = np.random.default_rng(seed)
    found = [] if base is None else [
        (column, *_losses(metric, model, rows, base, [(column, rng.permutation(len(rows.y))) for _ in range(REPEATS)]))
        for column in _read_columns(model, rows.frame)[:_MOST_COLUMNS]
    ]  # fmt: skip
    table = pd.DataFrame(found, columns=["column", "mean", "std"])
    return table.sort_values("mean", ascending=False, kind="stable", ignore_index=True)


def draw_importance(metric: str, model: Any, holdout: Holdout, picture: Picture) -> "Figure":
    """The most important columns as bars, with one standard deviation over the shuffles."""
    table = permutation_importance(metric, model, holdout).head(SHOWN)
    figure, axes = picture.blank("What the challenger relies on", size=(6.4, 1.6 + 0.3 * max(len(table), 6)))
    if table.empty:
        note(axes, f"{metric} cannot be computed on these rows")
        return figure
    axes.barh(range(len(table)), table["mean"], xerr=table["std"], color=GREEN, alpha=0.85, height=0.62,
              error_kw={"elinewidth": 1, "alpha": 0.6})  # fmt: skip
    axes.set_yticks(range(len(table)), [shorten(name) for name in table["column"]])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"loss of {metric} when the column is shuffled")
    return figure


def _losses(
    metric: str, model: Any, rows: Holdout, base: float, shuffles: list[tuple[str, Any]]
) -> tuple[float, float]:
    sign = 1 if METRICS[metric].greater_is_better else -1
    shuffled = (
        rows.frame.assign(**{column: rows.frame[column].take(order).set_axis(rows.frame.index)})
        for column, order in shuffles
    )
    scores = [_score(metric, model, frame, rows.y) for frame in shuffled]
    losses: FloatArray = np.array([sign * (base - value) for value in scores if value is not None])
    return (float(losses.mean()), float(losses.std())) if len(losses) else (0.0, 0.0)


def _score(metric: str, model: Any, frame: "pd.DataFrame", y: Any) -> float | None:
    (outputs,) = encode(y, [answer(Contender(model), frame)], METRICS[metric].task)
    return measure(METRICS[metric], outputs)


def _read_columns(model: Any, frame: "pd.DataFrame") -> list[str]:
    """Columns whose removal the model notices: by name where it keeps them, else all."""
    names = getattr(model, "feature_names_in_", None)
    return [column for column in frame.columns if names is None or column in set(names)]


def _sample(holdout: Holdout, seed: int) -> Holdout:
    if len(holdout.y) <= ROWS:
        return holdout
    rows = np.sort(np.random.default_rng(seed).choice(len(holdout.y), ROWS, replace=False))
    return Holdout(holdout.frame.iloc[rows], holdout.y.iloc[rows])
