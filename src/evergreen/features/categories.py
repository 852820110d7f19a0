"""Categories as codes or indicator columns, and the shares they had in training.

Why not scikit-learn's own encoders: they turn categories into arrays of Python strings over rows, and sort or look up
each. Here a column's dictionary of distinct values is translated once and rows only pick numbers from it, so the cost
no longer depends on strings times rows. Memory at a million rows is a few bytes a cell.

They read frames with named columns of any dtype, so scikit-learn's checks on plain numbers do not apply.
"""

# ruff: noqa: ARG002 - scikit-learn hands every transformer more than it reads.

from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

NONE, RARE, MISSING = "<none>", "<rare>", "<missing>"
Codes = npt.NDArray[np.int32]
# What a value never seen in training is coded as.
UNSEEN = -1


def dictionary(column: pd.Series) -> tuple[npt.NDArray[Any], list[str]]:
    """Row codes into the list of distinct values, as text; -1 where the value is missing.

    Whole numbers lose their `.0`, so that a code is the same category as integer, boolean or float.

    >>> dictionary(pd.Series([2.0, None, 1.5]))
    (array([ 0, -1,  1]), ['2', '1.5'])
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy(), [str(value) for value in column.cat.categories]
    codes, values = pd.factorize(column)
    return codes, [category_text(value) for value in values]


def category_text(value: Any) -> str:
    """How a value is written as a category.

    >>> category_text(3.0), category_text(1.5), category_text("x")
    ('3', '1.5', 'x')
    """
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def translate(column: pd.Series, codes: dict[str, int], missing: int, dtype: Any = np.int32) -> npt.NDArray[Any]:
    """The number that each row's category maps to: UNSEEN when it has none, `missing` for a null."""
    rows, values = dictionary(column)
    # Row code -1, a null, picks the last entry.
    return np.array([*(codes.get(value, UNSEEN) for value in values), missing], dtype=dtype)[rows]


def count(column: pd.Series) -> tuple[dict[str, int], int]:
    """How many rows each category has, those that occur, in order of name; and how many rows have none."""
    rows, values = dictionary(column)
    counts = np.bincount(rows.astype(np.int64) + 1, minlength=len(values) + 1)
    named = {value: int(rows_of) for value, rows_of in zip(values, counts[1:], strict=True) if rows_of}
    return dict(sorted(named.items())), int(counts[0])


class CategoryEncoder(TransformerMixin, BaseEstimator):
    """Categories as ordinal codes, or as one indicator column each (float32).

    `impute="most_frequent"` reads a null as the commonest category, `"missing"` as one more category where training had
    nulls, `"none"` leaves NaN (ordinal only). A category never seen in training has no indicator; as a code it is
    -1, or NaN with `impute="none"`. Categories rarer than `min_frequency` (a share of rows), and those beyond the
    `max_categories` - 1 most frequent, share one code.
    """

    def __init__(
        self,
        encode: Literal["one_hot", "ordinal"] = "one_hot",
        impute: Literal["most_frequent", "missing", "none"] = "missing",
        min_frequency: float | None = None,
        max_categories: int = 255,
    ):
        self.encode = encode
        self.impute = impute
        self.min_frequency = min_frequency
        self.max_categories = max_categories

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Learn each column's categories."""
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = len(self.feature_names_in_)
        # Per column: category to code, the code of a null, the name of each code.
        self.codes_: list[dict[str, int]] = []
        self.missing_: list[int] = []
        self.names_: list[list[str]] = []
        for name in X.columns:
            self._learn(*count(X[name]))
        return self

    def transform(self, X: pd.DataFrame) -> npt.NDArray[np.float32]:
        """The encoded columns, shape (rows, width)."""
        check_is_fitted(self)
        encoded = np.zeros((len(X), self.width), dtype=np.float32)
        self.write(X, encoded)
        return encoded

    def write(self, X: pd.DataFrame, out: npt.NDArray[np.float32]) -> None:
        """Encode into `out`, which holds zeros and has shape (rows, width)."""
        start = 0
        for name, codes, missing, names in zip(
            self.feature_names_in_, self.codes_, self.missing_, self.names_, strict=True
        ):
            rows = translate(X[name], codes, missing)
            if self.encode == "one_hot":
                known = np.flatnonzero(rows >= 0)
                out[known, start + rows[known]] = 1.0
                start += len(names)
            else:
                out[:, start] = np.where(rows < 0, np.nan, rows) if self.impute == "none" else rows
                start += 1

    @property
    def width(self) -> int:
        """How many columns come out."""
        return sum(map(len, self.names_)) if self.encode == "one_hot" else len(self.names_)

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """`column=category` for indicators, else the column's name."""
        check_is_fitted(self)
        if self.encode == "ordinal":
            return self.feature_names_in_
        pairs = zip(self.feature_names_in_, self.names_, strict=True)
        return np.array([f"{column}={name}" for column, names in pairs for name in names], dtype=object)

    def _learn(self, counts: dict[str, int], nulls: int) -> None:
        kept = self._frequent(counts, sum(counts.values()) + nulls)
        names = list(kept)
        codes = {name: code for code, name in enumerate(names)}
        if len(kept) < len(counts):
            codes |= dict.fromkeys((c for c in counts if c not in kept), len(names))
            names.append(RARE)
        missing = UNSEEN
        if self.impute == "most_frequent" and counts:
            missing = codes[max(counts, key=lambda name: counts[name])]
        elif self.impute == "missing" and nulls:
            missing = len(names)
            names.append(MISSING)
        self.codes_.append(codes)
        self.missing_.append(missing)
        # A column without any category keeps its place, as zeros.
        self.names_.append(names or [NONE])

    def _frequent(self, counts: dict[str, int], rows: int) -> dict[str, int]:
        floor = (self.min_frequency or 0.0) * rows
        frequent = {name: n for name, n in counts.items() if n >= floor}
        if len(frequent) <= self.max_categories - (len(frequent) < len(counts)):
            return frequent
        ranked = sorted(frequent, key=lambda name: (-frequent[name], name))[: self.max_categories - 1]
        return {name: frequent[name] for name in sorted(ranked)}


class Frequency(TransformerMixin, BaseEstimator):
    """Share of the training rows that have the row's category: 0 for one never seen, NaN for a null.

    >>> Frequency().fit_transform(pd.DataFrame({"plan": ["pro", "pro", "basic", None]})).ravel().tolist()
    [0.5, 0.5, 0.25, nan]
    """

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Count the categories of each column."""
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = len(self.feature_names_in_)
        self.shares_ = [{c: n / len(X) for c, n in count(X[name])[0].items()} for name in X.columns]
        return self

    def transform(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:
        """The shares, one column for each of X."""
        check_is_fitted(self)
        return np.column_stack(
            [_shares(X[name], shares) for name, shares in zip(self.feature_names_in_, self.shares_, strict=True)]
        )

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """The columns' names."""
        check_is_fitted(self)
        return self.feature_names_in_


def _shares(column: pd.Series, shares: dict[str, float]) -> npt.NDArray[np.float64]:
    rows, values = dictionary(column)
    return np.array([*(shares.get(value, 0.0) for value in values), np.nan])[rows]
