"""Each kind of derived column, as a table of inputs and what comes out."""

import math
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from evergreen.errors import SpecError
from evergreen.features.derived import Bins, Combine, Log
from evergreen.features.encode import Widen
from evergreen.features.pipeline import build_preprocessing
from evergreen.spec.features import FeatureSpec

NAN = math.nan
AT = pd.to_datetime(["2026-03-01 00:00", "2026-07-04 18:30", None]).astype("datetime64[us]")
FRAME = pd.DataFrame(
    {
        "a": [6.0, 1.0, NAN],
        "b": [3.0, 0.0, 2.0],
        "c": [1.0, 2.0, 3.0],
        "low": [-1.0, 0.0, math.e - 1],
        "plan": pd.Categorical(["pro", "basic", None]),
        "at": AT,
        "seen": pd.to_datetime(["2026-02-27 12:00", "2026-07-05 18:30", "2026-01-01 00:00"]).astype("datetime64[us]"),
    }
)
TYPES = {
    "a": "number",
    "b": "number",
    "c": "number",
    "low": "number",
    "plan": "category",
    "at": "datetime",
    "seen": "datetime",
}


def derive(frame=FRAME, time_column="at", fitted_on=None, **item):
    features = FeatureSpec.model_validate({"derive": [{"name": "x", **item}], "numeric": ["x"]})
    pipeline = build_preprocessing(features, TYPES, "native", time_column)[:2]
    pipeline.fit(FRAME if fitted_on is None else fitted_on)
    return pipeline.transform(frame)["x"].tolist()


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"kind": "product", "of": ["a", "b"]}, [18, 0, NAN]),
        ({"kind": "product", "of": ["a", "b", "c"]}, [18, 0, NAN]),
        ({"kind": "sum", "of": ["a", "b", "c"]}, [10, 3, NAN]),
        ({"kind": "difference", "of": ["a", "b"]}, [3, 1, NAN]),
        ({"kind": "ratio", "of": ["a", "b"]}, [2, NAN, NAN]),
        ({"kind": "days_since", "of": "seen"}, [1.5, -1, NAN]),
        ({"kind": "days_since", "of": "at", "until": "seen"}, [-1.5, 1, NAN]),
        ({"kind": "hour", "of": "at"}, [0, 18, NAN]),
        ({"kind": "weekday", "of": "at"}, [6, 5, NAN]),
        ({"kind": "month", "of": "at"}, [3, 7, NAN]),
        ({"kind": "season", "of": "at"}, [1, 2, NAN]),
        ({"kind": "bins", "of": "b", "edges": [0, 3]}, [2, 1, 1]),
        ({"kind": "bins", "of": "a", "quantiles": 2}, [1, 0, NAN]),
        ({"kind": "log", "of": "low"}, [NAN, 0, 1]),
        ({"kind": "frequency", "of": "plan"}, [1 / 3, 1 / 3, NAN]),
        ({"kind": "custom", "transformer": "sklearn.preprocessing:Binarizer", "of": ["b"]}, [1, 0, 1]),
    ],
)
def test_a_derived_column_is_what_its_kind_says(item, expected):
    assert derive(**item) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("month", "season"), [(12, 0), (1, 0), (2, 0), (3, 1), (5, 1), (6, 2), (8, 2), (9, 3), (11, 3)]
)
def test_winter_is_season_0_and_starts_in_december(month, season):
    at = pd.DataFrame({"at": [datetime(2026, month, 1, tzinfo=UTC)]})
    assert derive(at, kind="season", of="at") == [season]


def test_a_category_that_training_never_saw_has_frequency_0():
    assert derive(
        FRAME.assign(plan=pd.Categorical(["gold", "pro", None])), kind="frequency", of="plan"
    ) == pytest.approx([0, 1 / 3, NAN], nan_ok=True)


def test_quantile_bins_of_a_row_do_not_depend_on_the_rows_beside_it():
    training = pd.DataFrame({"a": np.arange(100.0)})
    alone = derive(pd.DataFrame({"a": [42.0]}), fitted_on=training, kind="bins", of="a", quantiles=10)
    assert alone == [4.0]


def test_a_column_without_any_value_has_bins_and_frequencies_without_any_value():
    empty = pd.DataFrame({"a": [NAN, NAN], "plan": pd.Categorical([None, None])})
    assert np.isnan(derive(empty, fitted_on=empty, kind="bins", of="a")).all()
    assert np.isnan(derive(empty, fitted_on=empty, kind="frequency", of="plan")).all()


def test_derived_columns_build_on_earlier_ones_and_may_take_a_source_columns_name():
    features = FeatureSpec.model_validate(
        {
            "derive": [
                {"name": "total", "kind": "product", "of": ["a", "b"]},
                {"name": "b", "kind": "sum", "of": ["total", "b"]},
                {"name": "unused", "kind": "hour", "of": "nowhere"},
            ],
            "numeric": ["b"],
        }
    )
    pipeline = build_preprocessing(features, TYPES, "native", None)
    assert pipeline["read"].types == {"a": "number", "b": "number"}
    assert pipeline.fit_transform(FRAME)[:, 0].tolist() == pytest.approx([21, 0, NAN], nan_ok=True)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (
            {
                "derive": [
                    {"name": "x", "kind": "sum", "of": ["y", "a"]},
                    {"name": "y", "kind": "log", "of": "b"},
                ],
                "numeric": ["x"],
            },
            "'y' is read before it is declared",
        ),
        ({"derive": [{"name": "x", "kind": "days_since", "of": "seen"}], "numeric": ["x"]}, "give `until`"),
        ({"numeric": ["plan"]}, "'plan' is a category"),
        (
            {"derive": [{"name": "x", "kind": "sum", "of": ["a", "plan"]}], "numeric": ["x"]},
            r"'x' \(sum\) reads 'plan', a category; it reads integer or number or boolean",
        ),
        (
            {"derive": [{"name": "x", "kind": "month", "of": "a"}], "numeric": ["x"]},
            r"'x' \(month\) reads 'a', a number; it reads datetime",
        ),
        ({"categorical": ["at"]}, "'at' is a datetime"),
        ({"numeric": ["elsewhere"]}, "no type is known for column 'elsewhere'"),
        (
            {"derive": [{"name": "x", "kind": "custom", "transformer": "nowhere:It", "of": ["a"]}], "numeric": ["x"]},
            "features.derive.0.transformer: 'nowhere:It' cannot be imported",
        ),
        (
            {"derive": [{"name": "x", "kind": "custom", "transformer": "math:It", "of": ["a"]}], "numeric": ["x"]},
            "module 'math' has no 'It'",
        ),
        (
            {"derive": [{"name": "x", "kind": "custom", "transformer": "math", "of": ["a"]}], "numeric": ["x"]},
            "write module:Class",
        ),
        (
            {
                "derive": [
                    {
                        "name": "x",
                        "kind": "custom",
                        "transformer": "sklearn.preprocessing:Binarizer",
                        "of": ["a"],
                        "params": {"level": 3},
                    }
                ],
                "numeric": ["x"],
            },
            "does not take these params",
        ),
    ],
)
def test_features_that_cannot_be_computed_are_refused_before_any_row_is_read(features, message):
    with pytest.raises(SpecError, match=message):
        build_preprocessing(FeatureSpec.model_validate(features), TYPES, "scaled", None)


def test_a_custom_transformer_that_gives_two_columns_is_refused():
    with pytest.raises(SpecError, match="'x' must come out as one column"):
        derive(kind="custom", transformer="sklearn.preprocessing:Binarizer", of=["b", "c"])


@given(st.lists(st.floats(allow_infinity=False, width=32), min_size=1, max_size=20), st.integers(2, 12))
def test_bins_keep_the_order_of_numbers(values, quantiles):
    column = np.array(values)[:, None]
    bins = Bins(quantiles=quantiles).fit_transform(column)[:, 0]
    known = ~np.isnan(column[:, 0])
    assert (np.diff(bins[known][np.argsort(column[known, 0])]) >= 0).all()
    assert np.isnan(bins[~known]).all()


# The others read frames of timestamps or categories by name, which scikit-learn's checks do not make.
@parametrize_with_checks([Combine("ratio"), Combine("sum"), Log(), Bins(quantiles=4)])
def test_numeric_transformers_keep_scikit_learns_contract(estimator, check):
    check(estimator)


def test_transformers_can_be_cloned_with_their_parameters():
    features = FeatureSpec.model_validate(
        {"derive": [{"name": "x", "kind": "bins", "of": "a", "edges": [1, 2]}], "numeric": ["x"]}
    )
    preprocessing = build_preprocessing(features, TYPES, "scaled", None)
    copy = clone(preprocessing)
    assert copy["derive"].steps[0][1].edges == [1, 2]
    assert not hasattr(copy["derive"], "fitted_")


def test_widening_changes_no_value():
    values = np.array([[0.1, 2.0]], dtype=np.float32)
    wide = Widen().fit(values).transform(values)
    assert wide.dtype == np.float64
    assert (wide == values).all()
