from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.data.frame import canonical_frame, read_snapshot, snapshot_types
from evergreen.data.parse import TextRules
from evergreen.errors import DataError, IntegrityError

TYPES = {"i": "integer", "n": "number", "b": "boolean", "c": "category", "d": "datetime", "t": "text"}
DTYPES = {"i": "float64", "n": "float64", "b": "float64", "c": "category", "d": "datetime64[us]", "t": "str"}

_MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1))
_CELLS = {
    "i": st.none() | st.integers(-1000, 1000) | st.sampled_from(["7", "7.0", " "]),
    "n": st.none() | st.floats(-1e9, 1e9) | st.sampled_from(["1.5", ""]),
    "b": st.none() | st.booleans() | st.sampled_from(["Yes", "no"]),
    "c": st.none() | st.integers(0, 3) | st.sampled_from(["x", "y "]) | st.booleans(),
    "d": st.none() | _MOMENTS,
    "t": st.none() | st.sampled_from(["p", " q"]),
}
_DATES = st.dates().map(lambda day: day.strftime("%d/%m/%Y"))
_TEXTS = {
    "i": st.sampled_from(["7", "1.000", ".", "NA"]),
    "n": st.sampled_from(["1,5", "1.234,5", "1.5", ".", "?", "3", 1.234, 7, True]),
    "b": st.sampled_from(["ja", "Yes", "."]),
    "c": st.sampled_from([".", "?", "NA", "x", "1,5"]),
    "d": _DATES | st.sampled_from(["01/02/2025", "31/12/2025", "12/31/2025", "31.12.2025", "2025-01-31", "."])
    | st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=2))])).map(str),
    "t": st.sampled_from([".", "NA", "p"]),
}  # fmt: skip
_RULES = st.sampled_from([TextRules(), TextRules(",", ("", ".", "?"), True)])
_ROWS = st.lists(st.fixed_dictionaries(_CELLS), min_size=1, max_size=6)


@given(_ROWS | st.lists(st.fixed_dictionaries(_TEXTS), min_size=1, max_size=6), _RULES)
@settings(max_examples=200, deadline=None)
def test_a_value_is_the_same_alone_and_in_any_batch(rows, rules):
    whole = canonical_frame(pd.DataFrame(rows), TYPES, rules)
    alone = [canonical_frame(pd.DataFrame([row]), TYPES, rules) for row in rows]
    for position, single in enumerate(alone):
        assert single.dtypes.astype(str).to_dict() == DTYPES
        for column in TYPES:
            one, other = single[column].iloc[0], whole[column].iloc[position]
            assert (pd.isna(one) and pd.isna(other)) or one == other


@given(_ROWS)
@settings(max_examples=50, deadline=None)
def test_the_canonical_form_is_its_own_canonical_form(rows):
    once = canonical_frame(pd.DataFrame(rows), TYPES)
    pd.testing.assert_frame_equal(once, canonical_frame(once, TYPES))


def test_a_lone_null_has_the_dtype_of_its_type():
    frame = canonical_frame(pd.DataFrame({name: [None] for name in TYPES}), TYPES)
    assert frame.dtypes.astype(str).to_dict() == DTYPES
    assert frame.isna().all().all()
    assert frame["c"].cat.categories.dtype == "str"


def test_a_table_without_rows_has_the_dtypes_of_its_types():
    frame = canonical_frame(pd.DataFrame({name: [1] for name in TYPES}).iloc[:0], TYPES)
    assert frame.dtypes.astype(str).to_dict() == DTYPES
    assert frame["c"].cat.categories.dtype == "str"


def test_columns_without_a_value_read_back_with_the_dtypes_of_their_types(take, write):
    path = write("i,n,b,c,d,t,y\n,,,,,,p\n,,,,,,p\n")
    frame = read_snapshot(take({"kind": "csv", "path": path}, {**TYPES, "y": "category"}).path)
    assert frame[list(TYPES)].dtypes.astype(str).to_dict() == DTYPES
    assert frame["c"].cat.categories.dtype == "str"
    assert frame[list(TYPES)].isna().all().all()


def test_an_index_may_repeat_itself():
    frame = pd.DataFrame({"n": ["1", "x", "3"]}, index=[5, 5, 7])
    assert canonical_frame(frame, {"n": "number"})["n"].tolist()[::2] == [1.0, 3.0]


def test_categories_are_texts_in_alphabetical_order():
    frame = canonical_frame(pd.DataFrame({"c": ["b", 3, None, True, 2.0, "a"]}), {"c": "category"})
    assert list(frame["c"].cat.categories) == ["2", "3", "True", "a", "b"]
    assert frame["c"].cat.categories.dtype == "str"


def test_categories_that_pandas_holds_otherwise_become_texts():
    frame = pd.DataFrame({"c": pd.Categorical([3, 1, None], categories=[3, 1, 9])})
    assert canonical_frame(frame, {"c": "category"})["c"].tolist()[:2] == ["3", "1"]


@pytest.mark.parametrize(
    ("kind", "values"),
    [("number", [np.inf, 1.0]), ("integer", [3.5, 1.0]), ("boolean", [2.0, 1.0]), ("number", ["abc", 1.0])],
)
def test_what_is_no_value_of_its_type_is_missing(kind, values):
    column = canonical_frame(pd.DataFrame({"x": values}), {"x": kind})["x"]
    assert column.isna().tolist() == [True, False]


def test_columns_follow_the_types_and_the_index_stays():
    frame = pd.DataFrame({"b": ["1"], "a": ["2"], "other": [0]}, index=[7])
    canonical = canonical_frame(frame, {"a": "number", "b": "number"})
    assert list(canonical.columns) == ["a", "b"]
    assert canonical.index.tolist() == [7]


def test_what_was_given_is_not_changed():
    frame = pd.DataFrame({"c": ["b", None], "n": ["1", "x"]})
    before = frame.copy(deep=True)
    canonical_frame(frame, {"c": "category", "n": "number"})
    pd.testing.assert_frame_equal(frame, before)


def test_the_order_of_a_date_is_declared_and_never_guessed():
    frame = pd.DataFrame({"d": ["01/02/2025", "31/12/2025", "31.12.2025"]})
    days = canonical_frame(frame, {"d": "datetime"}, TextRules(day_first=True))["d"]
    assert days.tolist() == [pd.Timestamp(2025, 2, 1), *[pd.Timestamp(2025, 12, 31)] * 2]
    months = canonical_frame(frame, {"d": "datetime"})["d"]
    assert months.tolist() == [pd.Timestamp(2025, 1, 2), pd.NaT, pd.Timestamp(2025, 12, 31)]


def test_a_text_that_the_source_calls_missing_is_none_also_as_a_category_of_pandas():
    frame = pd.DataFrame({"c": pd.Categorical([".", "a"])})
    assert canonical_frame(frame, {"c": "category"}, TextRules(nulls=("", ".")))["c"].isna().tolist() == [True, False]


def test_a_missing_column_is_named():
    with pytest.raises(DataError, match="no column 'price'; it has: prize"):
        canonical_frame(pd.DataFrame({"prize": [1]}), {"price": "number"})


def _snapshot(take, write):
    rows = "\n".join(
        f"{i},{i / 2},{'yes' if i % 2 else 'no'},{'cab'[i % 3]},2025-01-0{i % 9 + 1},k{i},u" for i in range(20)
    )
    path = write(f"i,n,b,c,d,t,y\n,,,,,,\n{rows}\n")
    return take({"kind": "csv", "path": path}, {**TYPES, "y": "category"})


def test_a_snapshot_reads_back_canonical(take, write):
    snapshot = _snapshot(take, write)
    frame = read_snapshot(snapshot.path)
    assert frame.dtypes.astype(str).to_dict() == {**DTYPES, "y": "category"}
    assert frame.iloc[0].isna().all()
    assert snapshot_types(snapshot.path) == {**TYPES, "y": "category"}
    pd.testing.assert_frame_equal(frame, canonical_frame(frame, {**TYPES, "y": "category"}))


def test_chosen_rows_and_columns_have_the_dtypes_of_the_whole(take, write):
    path = _snapshot(take, write).path
    whole, rows = read_snapshot(path), np.array([1, 4, 17])
    part = read_snapshot(path, ["c", "n"], rows)
    pd.testing.assert_frame_equal(part, whole[["c", "n"]].iloc[rows].reset_index(drop=True))
    assert part["c"].dtype == whole["c"].dtype
    assert read_snapshot(path, ["c"], np.array([], dtype=int))["c"].dtype == whole["c"].dtype


def test_integers_beyond_a_float_are_read_with_every_digit_whatever_rows_are_chosen(take, write):
    path = take(
        {"kind": "csv", "path": write("k,i,y\n1000000000000000001,1,p\n1000000000000000002,,q\n7,3,p\n,4,q\n")},
        {"k": "integer", "i": "integer", "y": "category"},
    ).path
    frame = read_snapshot(path)
    assert frame["k"].tolist() == [10**18 + 1, 10**18 + 2, 7, pd.NA]
    assert frame.dtypes.astype(str).to_dict() == {"k": "Int64", "i": "float64", "y": "category"}
    assert read_snapshot(path, ["k"], np.array([2]))["k"].dtype == "Int64"
    assert canonical_frame(frame, {"k": "integer"})["k"].dtype == "float64"


def test_a_file_with_broken_pages_is_refused(take, write):
    path = Path(_snapshot(take, write).path)
    content = bytearray(path.read_bytes())
    content[4:200] = b"\x00" * 196
    path.write_bytes(bytes(content))
    with pytest.raises(IntegrityError, match="cannot be read"):
        read_snapshot(str(path))


def test_what_is_no_snapshot_is_refused(tmp_path, write):
    with pytest.raises(IntegrityError, match="is gone"):
        read_snapshot(str(tmp_path / "none.parquet"))
    with pytest.raises(IntegrityError, match="no whole Parquet file"):
        read_snapshot(write("text", "text.parquet"))
    foreign = tmp_path / "foreign.parquet"
    pd.DataFrame({"a": [1]}).to_parquet(foreign)
    with pytest.raises(IntegrityError, match="no snapshot that Evergreen wrote"):
        read_snapshot(str(foreign))


def test_a_column_that_the_snapshot_lacks_is_named(take, write):
    with pytest.raises(DataError, match="no column 'z'"):
        read_snapshot(_snapshot(take, write).path, ["z"])
