"""The door of the pipeline: any frame in, the canonical frame out."""

# ruff: noqa: ARG002 - scikit-learn hands every transformer more than it reads.

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

from evergreen.data.frame import canonical_frame
from evergreen.data.parse import TextRules
from evergreen.errors import DataError


class CanonicalFrame(TransformerMixin, BaseEstimator):
    """Picks the source columns and gives them their canonical dtypes, in training and in serving alike.

    `types` maps each source column to its type, in order. Other columns, the target among them, are ignored. The rest
    says how texts are meant, as in the source that the model learned from: see `TextRules`.
    Raises DataError where a column is missing.
    """

    def __init__(
        self, types: dict[str, Any], null_values: Sequence[str] = ("",), decimal: str = ".", day_first: bool = False
    ):
        self.types = types
        self.null_values = null_values
        self.decimal = decimal
        self.day_first = day_first

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Remember the source columns."""
        self.feature_names_in_ = np.array(list(self.types), dtype=object)
        self.n_features_in_ = len(self.types)
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """The canonical frame of the source columns."""
        missing = [name for name in self.types if name not in X.columns]
        if missing:
            raise DataError(f"the rows have no column {missing[0]!r}; the model reads {', '.join(self.types)}")
        rules = TextRules(self.decimal, tuple(self.null_values), self.day_first)
        return canonical_frame(X, self.types, rules)

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """The source columns."""
        return np.array(list(self.types), dtype=object)
