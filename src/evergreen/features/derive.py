"""From a spec's derived columns to one transformer that computes them in order."""

# ruff: noqa: ARG002 - scikit-learn hands every transformer more than it reads.

from collections.abc import Mapping, Sequence, Set
from typing import Any, Self, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted

from evergreen.errors import SpecError
from evergreen.features.categories import Frequency
from evergreen.features.custom import build_custom
from evergreen.features.derived import Bins, Combine, Log
from evergreen.features.moments import CalendarPart, DaysSince
from evergreen.spec import features as spec
from evergreen.spec.columns import ColumnType
from evergreen.spec.derivation import Derivation, derivation, sources

__all__ = ["Derivation", "DeriveColumns", "build_step", "derivation", "require_types", "sources"]

_NUMBERS: tuple[ColumnType, ...] = ("integer", "number", "boolean")


def require_types(features: spec.FeatureSpec, types: Mapping[str, ColumnType], raw: Sequence[str]) -> None:
    """Raise SpecError where a source column is not declared or cannot be what the features make of it."""
    for name in raw:
        if name not in types:
            raise SpecError(f"features: no type is known for column {name!r}; declare it under schema.columns")
    derived = {item.name for item in features.derive}
    for name in (name for name in features.numeric if name not in derived):
        if types[name] not in _NUMBERS:
            raise SpecError(
                f"features.numeric: {name!r} is a {types[name]}; list it under categorical, or derive a number from it"
            )
    for name in (name for name in features.categorical if name not in derived):
        if types[name] == "datetime":
            raise SpecError(f"features.categorical: {name!r} is a datetime; derive hour, weekday, month or season")
    for index, item in enumerate(features.derive):
        _require_readable(item, {earlier.name for earlier in features.derive[:index]}, types)


def _require_readable(item: spec.Derived, earlier: Set[str], types: Mapping[str, ColumnType]) -> None:
    """Raise SpecError where a derived column cannot be made of a source column of such a type."""
    until = (item.until,) if isinstance(item, spec.DaysSince) and item.until else ()
    for name in (*((item.of,) if isinstance(item.of, str) else item.of), *until):
        kind = types.get(name)
        if kind is None or name in earlier or kind in _readable(item):
            continue
        choices = " or ".join(_readable(item))
        raise SpecError(f"features.derive: {item.name!r} ({item.kind}) reads {name!r}, a {kind}; it reads {choices}")


def _readable(item: spec.Derived) -> tuple[ColumnType, ...]:
    """The types of source columns that a derived column can be made of."""
    if isinstance(item, spec.DaysSince | spec.CalendarPart):
        return ("datetime",)
    if isinstance(item, spec.Arithmetic | spec.Bins | spec.Log):
        return _NUMBERS
    return get_args(ColumnType)


class DeriveColumns(TransformerMixin, BaseEstimator):
    """Adds derived columns one after the other and returns `columns` as a frame.

    `steps` holds name, transformer and source columns; a step may read what an earlier one added.
    """

    def __init__(self, steps: list[tuple[str, Any, list[str]]], columns: list[str]):
        self.steps = steps
        self.columns = columns

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Fit the transformers in order."""
        self.fit_transform(X, y)
        return self

    def fit_transform(self, X: pd.DataFrame, y: Any = None, **params: Any) -> pd.DataFrame:
        """Fit the transformers in order; each sees what the earlier ones added."""
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = len(self.feature_names_in_)
        self.fitted_ = [clone(transformer) for _, transformer, _ in self.steps]
        frame = X.copy(deep=False)
        for (name, _, of), transformer in zip(self.steps, self.fitted_, strict=True):
            frame[name] = _one_column(transformer.fit_transform(frame[of], y), name)
        return frame[self.columns]

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """The frame of `columns`; X is not changed."""
        check_is_fitted(self)
        frame = X.copy(deep=False)
        for (name, _, of), transformer in zip(self.steps, self.fitted_, strict=True):
            frame[name] = _one_column(transformer.transform(frame[of]), name)
        return frame[self.columns]

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """`columns`."""
        check_is_fitted(self)
        return np.array(self.columns, dtype=object)


def _one_column(values: Any, name: str) -> Any:
    """The single column of what a transformer returned, as an array without an index."""
    dense = values.toarray() if hasattr(values, "toarray") else values
    if isinstance(dense, pd.DataFrame) and dense.shape[1] == 1:
        return dense.iloc[:, 0].array
    if isinstance(dense, pd.Series):
        return dense.array
    array = np.asarray(dense)
    if array.ndim == 1:
        return array
    if array.ndim != 2 or array.shape[1] != 1:
        raise SpecError(f"features.derive: {name!r} must come out as one column, its transformer gave {array.shape}")
    return array[:, 0]


def build_step(index: int, item: spec.Derived, time_column: str | None) -> tuple[str, Any, list[str]]:
    """Name, unfitted transformer and source columns of one derived column."""
    return item.name, _transformer(index, item), list(sources(item, time_column))


def _transformer(index: int, item: spec.Derived) -> Any:
    if isinstance(item, spec.Arithmetic):
        return Combine(item.kind)
    if isinstance(item, spec.DaysSince):
        return DaysSince()
    if isinstance(item, spec.CalendarPart):
        return CalendarPart(item.kind)
    if isinstance(item, spec.Bins):
        return Bins(None if item.edges is None else list(item.edges), item.quantiles)
    if isinstance(item, spec.Log):
        return Log()
    if isinstance(item, spec.Frequency):
        return Frequency()
    return build_custom(item.transformer, dict(item.params), f"features.derive.{index}.transformer")
