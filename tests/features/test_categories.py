"""Categories as codes and indicators."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import OneHotEncoder

from evergreen.features.categories import MISSING, NONE, RARE, CategoryEncoder, dictionary


def frame(*values):
    return pd.DataFrame({"plan": pd.Categorical(list(values))})


TRAINING = frame("pro", "pro", "basic", "plus", None)


@pytest.mark.parametrize(
    ("encoder", "names"),
    [
        (CategoryEncoder("one_hot", "missing"), ["basic", "plus", "pro", MISSING]),
        (CategoryEncoder("one_hot", "most_frequent"), ["basic", "plus", "pro"]),
        (CategoryEncoder("one_hot", "missing", min_frequency=0.3), ["pro", RARE, MISSING]),
        (CategoryEncoder("one_hot", "most_frequent", max_categories=2), ["pro", RARE]),
    ],
)
def test_indicators_are_named_by_column_and_category(encoder, names):
    encoder.fit(TRAINING)
    assert encoder.get_feature_names_out().tolist() == [f"plan={name}" for name in names]
    assert encoder.transform(TRAINING).shape == (5, len(names))


@pytest.mark.parametrize(
    ("impute", "value", "expected"),
    [
        ("missing", "pro", [0, 0, 1, 0]),
        ("missing", None, [0, 0, 0, 1]),
        ("missing", "gold", [0, 0, 0, 0]),
        ("most_frequent", None, [0, 0, 1]),
        ("most_frequent", "gold", [0, 0, 0]),
    ],
)
def test_a_null_is_imputed_and_an_unseen_category_has_no_indicator(impute, value, expected):
    assert CategoryEncoder("one_hot", impute).fit(TRAINING).transform(frame(value)).tolist() == [expected]


@pytest.mark.parametrize(
    ("impute", "value", "code"),
    [
        ("none", "basic", 0),
        ("none", None, math.nan),
        ("none", "gold", math.nan),
        ("missing", None, 3),
        ("missing", "gold", -1),
        ("most_frequent", None, 2),
    ],
)
def test_codes_follow_the_names_of_categories(impute, value, code):
    encoded = CategoryEncoder("ordinal", impute).fit(TRAINING).transform(frame(value))
    assert encoded.tolist() == [[pytest.approx(code, nan_ok=True)]]


def test_a_null_that_training_never_saw_has_no_indicator():
    encoder = CategoryEncoder("one_hot", "missing").fit(frame("a", "b"))
    assert encoder.transform(frame(None)).tolist() == [[0, 0]]


def test_beyond_255_categories_the_rarest_share_one_code():
    many = frame(*(f"{n:03}" for n in range(300) for _ in range(300 - n)))
    encoder = CategoryEncoder("ordinal", "none").fit(many)
    codes = encoder.transform(frame("000", "253", "254", "299", "new")).ravel()
    assert codes.tolist() == pytest.approx([0, 253, 254, 254, math.nan], nan_ok=True)


@pytest.mark.parametrize("encode", ["one_hot", "ordinal"])
def test_a_column_without_any_category_keeps_its_place(encode):
    encoder = CategoryEncoder(encode, "most_frequent").fit(frame(None, None))
    assert encoder.names_ == [[NONE]]
    assert encoder.transform(frame("pro", None)).shape == (2, 1)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (pd.Series([2.0, None, 1.5]), ["2", "1.5"]),
        (pd.Series([True, False]), ["True", "False"]),
        (pd.Series(["b", None, "a"], dtype="str"), ["b", "a"]),
        (pd.Series(pd.Categorical(["b", "a"])), ["a", "b"]),
    ],
)
def test_any_dtype_has_a_dictionary_of_texts(column, values):
    codes, found = dictionary(column)
    assert found == values
    assert (codes == -1).tolist() == column.isna().tolist()


@given(
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=30),
    st.lists(st.sampled_from("abcdef"), min_size=1, max_size=10),
)
def test_indicators_are_those_of_scikit_learn(training, later):
    ours = CategoryEncoder("one_hot", "most_frequent").fit(frame(*training)).transform(frame(*later))
    theirs = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    theirs.fit(np.array(training, dtype=object)[:, None])
    assert (ours == theirs.transform(np.array(later, dtype=object)[:, None])).all()
