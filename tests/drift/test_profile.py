import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.drift.profile import EXACT_VALUES, TOP_VALUES, Profile, build_profile
from evergreen.errors import IntegrityError

numbers = st.lists(st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)), max_size=40)
labels = st.lists(st.one_of(st.none(), st.text(max_size=4)), max_size=40)


def of(values, kind="number"):
    dtype = "float64" if kind in ("number", "integer", "boolean") else None
    return build_profile(pd.DataFrame({"x": pd.Series(values, dtype=dtype)}), {"x": kind})


@given(numbers)
def test_a_profile_of_numbers_survives_json(values):
    profile = of(values)
    assert Profile.from_json(profile.to_json()) == profile


@given(labels)
def test_a_profile_of_labels_survives_json(values):
    profile = build_profile(pd.DataFrame({"x": pd.Series(values, dtype=object)}), {"x": "category"})
    assert Profile.from_json(profile.to_json()) == profile


@given(numbers)
def test_every_row_is_counted_once(values):
    column = of(values).columns["x"]
    assert sum(column.counts) + column.nulls == column.rows == len(values)
    assert list(column.values) == sorted(column.values)


def test_the_json_is_strict_and_does_not_depend_on_the_order_of_columns():
    frame = pd.DataFrame({"a": [1.0, np.inf], "b": [2.0, -np.inf]})
    one = build_profile(frame, {"a": "number", "b": "number"}).to_json()
    other = build_profile(frame[["b", "a"]], {"b": "number", "a": "number"}).to_json()
    assert one == other
    assert "Infinity" not in one


def test_many_distinct_numbers_are_kept_as_about_a_thousand_quantiles():
    column = of(np.random.default_rng(0).normal(size=20_000)).columns["x"]
    assert not column.exact
    assert 900 < len(column.values) <= 1002
    assert max(column.counts) <= 2 * 20_000 / 1000
    assert len(column.means) == len(column.counts)


def test_few_distinct_numbers_are_kept_one_by_one():
    column = of(np.arange(EXACT_VALUES).repeat(3)).columns["x"]
    assert column.exact
    assert set(column.counts) == {3}


def test_a_point_mass_has_a_bin_of_its_own_and_stands_in_top():
    values = np.append(np.random.default_rng(0).normal(size=7_000), np.zeros(3_000))
    profile = of(values)
    column = profile.columns["x"]
    assert column.counts[column.values.index(0.0)] == 3_000
    assert column.top == {0.0: 0.3}
    assert profile.shares("x") == {0.0: 0.3}


def test_top_shares_are_of_all_rows_and_the_most_frequent_comes_first():
    column = of(["b", "a", "b", None], "category").columns["x"]
    assert list(column.top.items()) == [("b", 0.5), ("a", 0.25)]


def test_shares_of_labels_are_complete_where_top_is_not():
    values = [f"v{i}" for i in range(2 * TOP_VALUES)]
    profile = of(values, "text")
    assert len(profile.columns["x"].top) == TOP_VALUES
    assert sum(profile.shares("x").values()) == pytest.approx(1)


@pytest.mark.parametrize("rows", [0, 1])
def test_an_empty_frame_and_one_row_have_a_profile(rows):
    frame = pd.DataFrame({"n": [1.0], "c": pd.Series(["a"], dtype="category")}).head(rows)
    profile = build_profile(frame, {"n": "number", "c": "category"})
    assert profile.rows == rows
    assert profile.columns["n"].known == profile.columns["c"].known == rows


def test_what_cannot_be_compared_has_no_profile():
    frame = pd.DataFrame({"at": pd.to_datetime(["2013-01-01"]), "word": ["x"], "n": [1]})
    profile = build_profile(frame, {"at": "datetime", "word": "number", "gone": "number", "n": "integer"})
    assert list(profile.columns) == ["n"]


@pytest.mark.parametrize("text", ["", "[]", '{"version": 1}', '{"version": 2, "rows": 1, "columns": {}}'])
def test_text_that_is_no_profile_is_refused_with_the_next_step(text):
    with pytest.raises(IntegrityError, match="train the champion again"):
        Profile.from_json(text)


def test_a_damaged_column_is_refused():
    stored = json.loads(of([1.0, 2.0]).to_json())
    del stored["columns"]["x"]["counts"]
    with pytest.raises(IntegrityError, match="cannot be read"):
        Profile.from_json(json.dumps(stored))
