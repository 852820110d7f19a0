"""One pipeline from raw rows to predictions: what training fits is what serving runs."""

from collections.abc import Mapping
from typing import Any

from sklearn.pipeline import Pipeline

from evergreen.data.parse import TextRules
from evergreen.features.derive import DeriveColumns, build_step, derivation, require_types
from evergreen.features.encode import EncodeColumns, Encoding, Widen
from evergreen.features.read import CanonicalFrame
from evergreen.spec.columns import ColumnType
from evergreen.spec.features import FeatureSpec


def build_preprocessing(
    features: FeatureSpec,
    types: Mapping[str, ColumnType],
    encoding: Encoding,
    time_column: str | None,
    texts: TextRules | None = None,
) -> Pipeline:
    """Raw or canonical rows to a float32 matrix, unfitted.

    `types` names at least the source columns that the features read; others are ignored. `texts` says how raw rows
    write their values, as the source of the training rows does. Raises SpecError where
    features contradict types, order or importable classes.
    """
    needed, texts = derivation(features, time_column), texts or TextRules()
    require_types(features, types, needed.raw)
    numbers, categories = features.numeric_preprocessing, features.categorical_preprocessing
    return Pipeline(
        [
            (
                "read",
                CanonicalFrame(
                    {name: types[name] for name in needed.raw}, list(texts.nulls), texts.decimal, texts.day_first
                ),
            ),
            (
                "derive",
                DeriveColumns(
                    [build_step(index, item, time_column) for index, item in needed.steps], list(features.columns)
                ),
            ),
            (
                "encode",
                EncodeColumns(
                    list(features.numeric),
                    list(features.categorical),
                    encoding,
                    (numbers.impute, numbers.scale),
                    (categories.impute, categories.encode, categories.min_frequency),
                ),
            ),
        ]
    )


def with_estimator(preprocessing: Pipeline, estimator: Any) -> Pipeline:
    """Both, fitted, as one pipeline that predicts from raw rows.

    Estimators that multiply and add (encoding `scaled`) are given float64: in float32 the answer for a row would
    depend in its seventh digit on the rows that came with it.
    """
    widen = [("widen", Widen())] if preprocessing["encode"].encoding == "scaled" else []
    return Pipeline([*preprocessing.steps, *widen, ("model", estimator)])
