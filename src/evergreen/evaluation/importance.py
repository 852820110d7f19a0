"""Permutation importance: what the metric loses when one raw column is shuffled."""

from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.evaluation.canvas import GREEN, Picture, note, shorten
from evergreen.evaluation.metrics import METRICS, measure
from evergreen.evaluation.outputs import take
from evergreen.evaluation.predict import Contender, Holdout, answer, encode

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

ROWS = 1000
REPEATS = 3
SHOWN = 15
_MOST_COLUMNS = 60


def permutation_importance(metric: str, model: Any, holdout: Holdout, seed: int = 0) -> "pd.DataFrame":
    """Mean and standard deviation of the loss per raw column, largest first: columns `column`, `mean`, `std`.

    Breiman, Random Forests (2001). Measured on at most 1,000 rows and 60 columns, three shuffles each. A column that
    the model does not read is left out. Empty where the metric does not exist on these rows.
    """
    import pandas as pd

    rows = _sample(holdout, seed)
    (base,) = _scores(metric, model, rows, rows.frame)
    if base is None:
        return pd.DataFrame(columns=["column", "mean", "std"])
    rng = np.random.default_rng(seed)
    columns = _read_columns(model, rows.frame)[:_MOST_COLUMNS]
    scores = [_scores(metric, model, rows, _shuffled(rows.frame, column, rng)) for column in columns]
    sign = 1 if METRICS[metric].greater_is_better else -1
    losses = [sign * np.array([base - value for value in values if value is not None]) for values in scores]
    found = [(column, loss.mean(), loss.std()) for column, loss in zip(columns, losses, strict=True) if len(loss)]
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
