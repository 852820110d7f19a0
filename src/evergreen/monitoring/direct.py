"""How far a number is off, learnt from how far it was off: direct loss estimation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.evaluation.outputs import FloatArray

if TYPE_CHECKING:
    import pandas as pd

# Of more rows it would learn little more, and take seconds.
_MOST_ROWS = 10_000
_SETTINGS = {"max_iter": 50, "max_leaf_nodes": 15, "min_samples_leaf": 40, "early_stopping": False}


@dataclass(frozen=True, eq=False)
class Regressor:
    """Boosted trees over inputs and prediction whose answer is a loss."""

    columns: tuple[str, ...]
    categories: dict[str, tuple[str, ...]]
    trees: Any

    def predict(self, frame: "pd.DataFrame", predicted: FloatArray) -> FloatArray:
        """The loss that is expected of each row."""
        rows = encode_inputs(frame, self.columns, self.categories, predicted)
        return np.maximum(self.trees.predict(rows), 0.0)


def categories_of(frame: "pd.DataFrame", columns: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The labels of each column that has some, in alphabetical order."""
    from pandas.api.types import is_numeric_dtype

    texts = [name for name in columns if not is_numeric_dtype(frame[name])]
    return {name: tuple(sorted({str(value) for value in frame[name].dropna().unique()})) for name in texts}


def encode_inputs(
    frame: "pd.DataFrame", columns: Sequence[str], categories: dict[str, tuple[str, ...]], predicted: FloatArray
) -> FloatArray:
    """One column a named input and the prediction as the last; a label by its place, NaN where none is known."""
    import pandas as pd

    made = []
    for name in columns:
        if name in categories:
            codes = pd.Categorical(frame[name].astype(object), categories=list(categories[name])).codes
            made.append(np.where(codes < 0, np.nan, codes.astype(np.float64)))
        else:
            made.append(frame[name].to_numpy(dtype=np.float64, na_value=np.nan))
    return np.column_stack([*made, predicted])


def fit_trees(rows: FloatArray, losses: FloatArray, seed: int) -> Any:
    """Trees for encoded rows, seeded and on one thread; of many rows every so many are learnt from."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    chosen = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _MOST_ROWS)).astype(np.int64))
    rows = rows[chosen]
    # A column without a single value cannot be cut into bins.
    known = np.where(np.isnan(rows).all(axis=0), 0.0, rows)
    with threadpool_limits(1):
        return HistGradientBoostingRegressor(random_state=seed, **_SETTINGS).fit(known, losses[chosen])
