"""The derived columns that come from timestamps: days between two, and parts of one.

They read frames whose columns are naive UTC timestamps, so scikit-learn's checks on plain numbers do not apply.
"""

# ruff: noqa: ARG002 - scikit-learn hands every transformer more than it reads.

from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

FloatArray = npt.NDArray[np.float64]
# December, January and February are season 0.
_MONTHS_A_SEASON = 3
_DAY = 86_400


class _Moments(TransformerMixin, BaseEstimator):
    """Learns nothing but the names of the columns."""

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Remember the columns."""
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = len(self.feature_names_in_)
        return self


class DaysSince(_Moments):
    """Days from the first column to the second; negative where the first is later, NaN where either is missing.

    >>> day = pd.to_datetime(["2026-03-01"]), pd.to_datetime(["2026-03-03 12:00"])
    >>> DaysSince().fit_transform(pd.DataFrame({"of": day[0], "until": day[1]})).tolist()
    [[2.5]]
    """

    def transform(self, X: pd.DataFrame) -> FloatArray:
        """The days, shape (rows, 1)."""
        check_is_fitted(self)
        seconds = (X.iloc[:, 1] - X.iloc[:, 0]).dt.total_seconds()
        return seconds.to_numpy(dtype=np.float64)[:, np.newaxis] / _DAY

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """One name."""
        check_is_fitted(self)
        return np.array(["days_since"], dtype=object)


class CalendarPart(_Moments):
    """Hour 0-23, weekday 0-6 from Monday, month 1-12, or season 0-3 from winter; NaN where the time is missing.

    >>> CalendarPart("season").fit_transform(pd.DataFrame({"at": pd.to_datetime(["2026-12-24"])})).tolist()
    [[0.0]]
    """

    def __init__(self, part: Literal["hour", "weekday", "month", "season"] = "hour"):
        self.part = part

    def transform(self, X: pd.DataFrame) -> FloatArray:
        """The parts, shape (rows, 1)."""
        check_is_fitted(self)
        times = X.iloc[:, 0].dt
        parts = times.month % 12 // _MONTHS_A_SEASON if self.part == "season" else getattr(times, self.part)
        return parts.to_numpy(dtype=np.float64, na_value=np.nan)[:, np.newaxis]

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """The part's name."""
        check_is_fitted(self)
        return np.array([self.part], dtype=object)
