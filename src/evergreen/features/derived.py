"""The derived columns that are numbers from numbers: arithmetic, logarithm, bins."""

# ruff: noqa: ARG002 - scikit-learn hands every transformer more than it reads.

from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

FloatArray = npt.NDArray[np.float64]


class _Numeric(TransformerMixin, BaseEstimator):
    """Reads columns of numbers where NaN is missing, and learns nothing but their names."""

    def fit(self, X: Any, y: Any = None) -> Self:
        """Remember the columns."""
        self._read(X, reset=True)
        return self

    def _read(self, X: Any, reset: bool) -> FloatArray:
        # Infinities are let through: a quotient of a request may be one, and encoding treats it as missing.
        values: FloatArray = validate_data(self, X, dtype=np.float64, ensure_all_finite=False, reset=reset)
        return values

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class Combine(_Numeric):
    """One column out of several: their product, sum, difference or ratio.

    Difference and ratio take the first column against the rest. A denominator of 0 gives NaN.

    >>> Combine("ratio").fit_transform([[6.0, 3.0], [1.0, 0.0]]).tolist()
    [[2.0], [nan]]
    """

    def __init__(self, operation: Literal["product", "sum", "difference", "ratio"] = "product"):
        self.operation = operation

    def transform(self, X: Any) -> FloatArray:
        """The combined column, shape (rows, 1)."""
        check_is_fitted(self)
        values = self._read(X, reset=False)
        return combine(self.operation, values)[:, np.newaxis]

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """The operation's name."""
        check_is_fitted(self)
        return np.array([self.operation], dtype=object)


def combine(operation: str, values: FloatArray) -> FloatArray:
    """What `Combine` makes of columns: shape (rows, columns) to (rows,)."""
    with np.errstate(over="ignore", invalid="ignore"):
        first, rest = values[:, 0], values[:, 1:]
        if operation == "product":
            return np.asarray(values.prod(axis=1))
        if operation == "sum":
            return np.asarray(values.sum(axis=1))
        if operation == "difference":
            return np.asarray(first - rest.sum(axis=1))
        below = rest.prod(axis=1)
        return np.divide(first, below, out=np.full(len(values), np.nan), where=below != 0)


def logarithm(values: FloatArray) -> FloatArray:
    """What `Log` makes of numbers, in their shape."""
    return np.log1p(values, out=np.full(values.shape, np.nan), where=values >= 0)


def bin_of(column: FloatArray, edges: FloatArray) -> FloatArray:
    """What `Bins` makes of one column, shape (rows,)."""
    return np.where(np.isnan(column), np.nan, np.searchsorted(edges, column, side="right"))


class Log(OneToOneFeatureMixin, _Numeric):
    """log(1 + x); a negative x gives NaN.

    >>> Log().fit_transform([[0.0], [-1.0]]).tolist()
    [[0.0], [nan]]
    """

    def transform(self, X: Any) -> FloatArray:
        """The logarithms, in the shape of X."""
        check_is_fitted(self)
        return logarithm(self._read(X, reset=False))


class Bins(OneToOneFeatureMixin, _Numeric):
    """The position of each number among edges: 0 below the first, k from the k-th edge on. NaN stays NaN.

    Without `edges` each column's inner quantiles of the training data are used.

    >>> Bins(edges=[0, 10]).fit_transform([[-5.0], [0.0], [99.0]]).ravel().tolist()
    [0.0, 1.0, 2.0]
    """

    def __init__(self, edges: list[float] | None = None, quantiles: int = 10):
        self.edges = edges
        self.quantiles = quantiles

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the edges of each column."""
        values = self._read(X, reset=True)
        self.edges_ = [self._edges_of(column) for column in values.T]
        return self

    def transform(self, X: Any) -> FloatArray:
        """The bins, as floats in the shape of X."""
        check_is_fitted(self)
        values = self._read(X, reset=False)
        bins = np.empty_like(values)
        for position, edges in enumerate(self.edges_):
            bins[:, position] = bin_of(values[:, position], edges)
        return bins

    def _edges_of(self, column: FloatArray) -> FloatArray:
        if self.edges is not None:
            return np.unique(np.asarray(self.edges, dtype=np.float64))
        known = column[np.isfinite(column)]
        if not len(known):
            return np.empty(0)
        return np.unique(np.quantile(known, np.linspace(0, 1, self.quantiles + 1)[1:-1]))
