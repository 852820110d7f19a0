"""Features as a float32 matrix, in the encoding that an estimator reads."""

# ruff: noqa: ARG002 - scikit-learn hands every transformer more than it reads.

from collections.abc import Iterator
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import RobustScaler, StandardScaler
from sklearn.utils.validation import check_is_fitted

from evergreen.features.categories import CategoryEncoder

Encoding = Literal["scaled", "imputed", "native"]
_SCALERS = {"standard": StandardScaler, "robust": RobustScaler}
# Temporary float64 copies are made of so many rows at a time.
_BLOCK = 65_536


class EncodeColumns(TransformerMixin, BaseEstimator):
    """Numeric columns, then categorical ones, as float32.

    `scaled` imputes and scales numbers and gives categories indicators or codes, without NaN; `imputed` is the same
    without scaling; `native` leaves NaN and codes categories, NaN for one that is missing or was never seen. An
    infinity, or a number beyond float32, counts as missing.
    """

    def __init__(
        self,
        numeric: list[str],
        categorical: list[str],
        encoding: Encoding = "scaled",
        numeric_preprocessing: tuple[str, str] = ("median", "standard"),
        categorical_preprocessing: tuple[str, str, float | None] = ("missing", "one_hot", None),
    ):
        self.numeric = numeric
        self.categorical = categorical
        self.encoding = encoding
        self.numeric_preprocessing = numeric_preprocessing
        self.categorical_preprocessing = categorical_preprocessing

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Learn imputation, scales and categories."""
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = len(self.feature_names_in_)
        self.categories_ = self._category_encoder().fit(X[self.categorical])
        if self.encoding == "native":
            self.unknown_ = self._unknown(X)
        elif self.numeric:
            self.numbers_ = self._number_encoder().fit(_numbers(X, self.numeric, slice(None)))
        return self

    def transform(self, X: pd.DataFrame) -> npt.NDArray[np.float32]:
        """The matrix, shape (rows, columns)."""
        check_is_fitted(self)
        width = len(self.numeric)
        matrix = np.zeros((len(X), width + self.categories_.width), dtype=np.float32)
        for rows in _blocks(len(X)) if width else ():
            numbers = _numbers(X, self.numeric, rows)
            matrix[rows, :width] = numbers if self.encoding == "native" else self.numbers_.transform(numbers)
        self.categories_.write(X[self.categorical], matrix[:, width:])
        if self.encoding == "native":
            matrix[:, self.unknown_] = 0.0
        return matrix

    @property
    def categorical_mask_(self) -> npt.NDArray[np.bool_]:
        """True for each column of the matrix that holds codes of categories, by which no order is meant."""
        check_is_fitted(self)
        codes = self.categories_.encode == "ordinal"
        return np.repeat([False, codes], [len(self.numeric), self.categories_.width])

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """The matrix' columns: numeric names, then categories."""
        check_is_fitted(self)
        return np.array([*self.numeric, *self.categories_.get_feature_names_out()], dtype=object)

    def _number_encoder(self) -> Pipeline:
        impute, scale = self.numeric_preprocessing
        strategy: dict[str, Any] = (
            {"strategy": "constant", "fill_value": 0.0} if impute == "zero" else {"strategy": impute}
        )
        steps: list[Any] = [SimpleImputer(**strategy, keep_empty_features=True)]
        if self.encoding == "scaled" and scale != "none":
            steps.append(_SCALERS[scale]())
        return make_pipeline(*steps)

    def _category_encoder(self) -> CategoryEncoder:
        impute, encode, min_frequency = self.categorical_preprocessing
        if self.encoding == "native":
            return CategoryEncoder("ordinal", "none", min_frequency)
        return CategoryEncoder(encode, impute, min_frequency)  # type: ignore[arg-type]

    def _unknown(self, X: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Columns that training knows too little of: histogram trees crash where their sample has no value at all.

        They sample 200,000 rows to find bins and hold a tenth out to stop early, so beyond 10,000 rows a value or two
        is not enough. Such a column is 0 throughout.
        """
        needed = 1 if len(X) <= 10_000 else max(10.0, len(X) / 10_000)
        known = [np.isfinite(_column(X, name)).sum() for name in self.numeric]
        return np.array([*(n < needed for n in known), *(not codes for codes in self.categories_.codes_)], dtype=bool)


class Widen(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """float32 as float64, so that sums over columns do not depend on how many rows are summed at once."""

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn nothing but the number of columns."""
        self.n_features_in_ = np.shape(X)[1]
        return self

    def transform(self, X: Any) -> npt.NDArray[np.float64]:
        """X in double precision."""
        return np.asarray(X, dtype=np.float64)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags


def _column(X: pd.DataFrame, name: str) -> npt.NDArray[np.float64]:
    return X[name].to_numpy(dtype=np.float64, na_value=np.nan)


def _numbers(X: pd.DataFrame, names: list[str], rows: slice) -> npt.NDArray[np.float64]:
    """Columns of some rows as float64; what float32 cannot hold is NaN."""
    columns = [_column(X, name)[rows] for name in names]
    numbers = np.empty((len(columns[0]), len(columns)))
    for position, column in enumerate(columns):
        numbers[:, position] = column
    with np.errstate(invalid="ignore"):
        numbers[~(np.abs(numbers) <= np.finfo(np.float32).max)] = np.nan
    return numbers


def _blocks(rows: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, rows, _BLOCK))
