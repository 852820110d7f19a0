"""Features as a float32 matrix, in the encoding that an estimator reads."""

# ruff: noqa: ARG002 - scikit-learn hands every transformer more than it reads.

from collections.abc import Callable, Iterator
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.preprocessing import RobustScaler, StandardScaler
from sklearn.utils.validation import check_is_fitted

from evergreen.errors import DataError
from evergreen.features.categories import CategoryEncoder

Encoding = Literal["scaled", "imputed", "native"]
_FILLS: dict[str, Callable[[npt.NDArray[np.float64]], Any]] = {"mean": np.mean, "median": np.median}
# What float32 can hold.
LARGEST = float(np.finfo(np.float32).max)
# Temporary float64 copies are made of so many rows at a time.
_BLOCK = 16_384
# Indicators of categories may take so many bytes of the matrix that an estimator is given, which is dense.
MOST_BYTES = 4 * 2**30


class EncodeColumns(TransformerMixin, BaseEstimator):
    """Numeric columns, then categorical ones, as float32.

    `scaled` imputes and scales numbers and gives categories indicators or codes, without NaN; `imputed` is the same
    without scaling; `native` leaves NaN and codes categories, NaN for one that is missing or was never seen. An
    infinity, or a number beyond float32, counts as missing; one that only scaling takes beyond it is the largest there
    is.
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
        """Learn imputation, scales and categories; raises DataError where their indicators would fill the memory."""
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = len(self.feature_names_in_)
        self.categories_ = self._category_encoder().fit(X[self.categorical])
        _require_room(self.categories_, len(X))
        if self.encoding == "native":
            self.unknown_ = self._unknown(X)
        else:
            self._learn_numbers(X)
        return self

    def transform(self, X: pd.DataFrame) -> npt.NDArray[np.float32]:
        """The matrix, shape (rows, columns)."""
        check_is_fitted(self)
        width = len(self.numeric)
        matrix = np.zeros((len(X), width + self.categories_.width), dtype=np.float32)
        for rows in _blocks(len(X)) if width else ():
            numbers = _numbers(X, self.numeric, rows)
            if self.encoding != "native":
                np.copyto(numbers, self.fill_, where=np.isnan(numbers))
                with np.errstate(over="ignore"):
                    numbers = np.clip((numbers - self.center_) / self.scale_, -LARGEST, LARGEST)
            matrix[rows, :width] = numbers
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

    def _learn_numbers(self, X: pd.DataFrame) -> None:
        """What fills gaps in each numeric column, and its centre and scale once they are filled.

        A column at a time: scikit-learn's imputer sorts a masked copy of all of them, which took seven times the time
        and 0.6 GB more at a million rows of twenty columns. The values are the same.
        """
        impute, scale = self.numeric_preprocessing
        learned = [_statistics(_clean(_column(X, name)), impute, scale) for name in self.numeric]
        self.fill_, self.center_, self.scale_ = np.array(learned, dtype=np.float64).reshape(-1, 3).T.copy()
        if self.encoding == "imputed":
            self.center_[:], self.scale_[:] = 0.0, 1.0

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


def _require_room(encoder: CategoryEncoder, rows: int) -> None:
    size = rows * encoder.width * np.dtype(np.float32).itemsize
    if encoder.encode != "one_hot" or size <= MOST_BYTES:
        return
    levels = sorted(((len(names), name) for name, names in zip(encoder.feature_names_in_, encoder.names_, strict=True)))
    most = ", ".join(f"{name} ({count})" for count, name in levels[:-4:-1])
    raise DataError(
        f"features.categorical: {encoder.width:,} categories, one column each, times {rows:,} rows are "
        f"{size / 2**30:,.1f} GB, more than {MOST_BYTES / 2**30:g}; most have {most}: put rare ones together with "
        "features.categorical_preprocessing.min_frequency, derive a frequency instead, or keep to kinds that read "
        "categories as they are (hist_gradient_boosting, random_forest, extra_trees, decision_tree)"
    )


def _statistics(column: npt.NDArray[np.float64], impute: str, scale: str) -> tuple[float, float, float]:
    """Fill, centre and scale of a column; a column without any value is filled with 0."""
    known = column[~np.isnan(column)]
    fill = 0.0 if impute == "zero" or not len(known) else float(_FILLS[impute](known))
    if scale == "none":
        return fill, 0.0, 1.0
    filled = np.where(np.isnan(column), fill, column)[:, np.newaxis]
    if scale == "standard":
        standard = StandardScaler().fit(filled)
        return fill, float(standard.mean_[0]), float(standard.scale_[0])
    robust = RobustScaler().fit(filled)
    return fill, float(robust.center_[0]), float(robust.scale_[0])


def _column(X: pd.DataFrame, name: str) -> npt.NDArray[np.float64]:
    return X[name].to_numpy(dtype=np.float64, na_value=np.nan)


def _clean(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Numbers with NaN for what float32 cannot hold."""
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(numbers) <= LARGEST, numbers, np.nan)


def _numbers(X: pd.DataFrame, names: list[str], rows: slice) -> npt.NDArray[np.float64]:
    """Columns of some rows, clean, as one matrix."""
    return _clean(np.column_stack([_column(X, name)[rows] for name in names]))


def _blocks(rows: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, rows, _BLOCK))
