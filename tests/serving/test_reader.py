"""A request is held to the rules of the training rows, field by field."""

import json
import math

import msgspec
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.data.frame import canonical_frame
from evergreen.data.parse import TextRules
from evergreen.features.pipeline import build_preprocessing
from evergreen.serving.decode import decode_invocation, decode_records
from evergreen.serving.handles import Column
from evergreen.serving.reader import MANY, MOST_PROBLEMS, Rows, build_reader
from evergreen.serving.schema import columns_of
from evergreen.serving.values import LONGEST, Refusal, read_moment, read_value
from evergreen.spec.features import FeatureSpec
from evergreen.spec.model import ModelSpec
from tests.project import tiny_spec
from tests.serving.pipelines import TYPES, frame

DAY = 86_400_000_000
NUMBER = Column("n", "number", min=0, max=9.5, nulls=("", "-999"))
INTEGER = Column("n", "integer", min=-5)
STRICT = Column("n", "category", allowed=("basic", "3", " odd "))
LOOSE = Column("n", "category", allowed=("basic",), strict=False, nulls=("", "?"))
TEXT, BOOLEAN, AT = Column("n", "text"), Column("n", "boolean"), Column("n", "datetime", day_first=True)
NEEDED = Column("n", "category", nullable=False, nulls=("", "NA"))

READ = [
    (NUMBER, 3, 3.0),
    (NUMBER, 9.5, 9.5),
    (NUMBER, None, math.nan),
    (INTEGER, 3.0, 3.0),
    (INTEGER, 2**62, 2.0**62),
    (BOOLEAN, True, 1.0),
    (BOOLEAN, 0, 0.0),
    (BOOLEAN, 1.0, 1.0),
    (STRICT, "basic", "basic"),
    (STRICT, 3, "3"),
    (STRICT, 3.0, "3"),
    (STRICT, " basic ", "basic"),
    (STRICT, None, None),
    (LOOSE, "never seen", "never seen"),
    (LOOSE, "?", None),
    (LOOSE, "  ", None),
    (LOOSE, True, "True"),
    (LOOSE, 1.5, "1.5"),
    (LOOSE, 1e20, "1e+20"),
    (TEXT, "ü 🙂", "ü 🙂"),
    (AT, "1970-01-02", DAY),
    (AT, "1970-01-02T00:00:00Z", DAY),
    (AT, " 1970-01-02 02:00:00.000001+02:00 ", DAY + 1),
    (AT, "02/01/1970", DAY),
    (AT, "NA", None),
]
REFUSED = [
    (NUMBER, "3", "type", "is text; a number is wanted"),
    (NUMBER, True, "type", "is true or false; a number is wanted"),
    (NUMBER, [1], "type", "is an array; a number is wanted"),
    (NUMBER, math.nan, "finite", "is not finite; a missing value is null"),
    (NUMBER, -math.inf, "finite", "is not finite; a missing value is null"),
    (NUMBER, 10**400, "finite", "is beyond every number that can be computed with"),
    (NUMBER, -0.1, "min", "is -0.1, below min 0"),
    (NUMBER, 9.6, "max", "is 9.6, above max 9.5"),
    (INTEGER, 2.5, "type", "is 2.5; a whole number is wanted"),
    (INTEGER, 2**64, "type", "is beyond the whole numbers of 64 bits, or has lost digits on the way"),
    (INTEGER, 2.0**53, "type", "is beyond the whole numbers of 64 bits, or has lost digits on the way"),
    (INTEGER, "2", "type", "is text; a whole number is wanted"),
    (BOOLEAN, "true", "type", "is text; true or false is wanted"),
    (BOOLEAN, 2, "type", "is a number; true or false is wanted"),
    (STRICT, "free", "allowed", "is 'free', not among the allowed: 'basic', '3', ' odd '"),
    (STRICT, {}, "type", "is an object; text is wanted"),
    (LOOSE, math.inf, "finite", "is not finite; a missing value is null"),
    (LOOSE, "a" * 1_001, "length", "has 1001 characters; at most 1000"),
    (TEXT, "a\0b", "type", "holds the character of code 0"),
    (TEXT, "\ud83d", "type", "holds half a character"),
    (NEEDED, None, "null", "is null; training allowed no null here"),
    (NEEDED, " NA", "null", "is null; training allowed no null here"),
    (AT, 20250131, "type", "is a number; a date, as text such as 2026-01-31T12:00:00Z, is wanted"),
    (AT, "soon", "type", "is 'soon', which is no date; write 2026-01-31T12:00:00Z"),
    (AT, "2025-02-30", "type", "is '2025-02-30', which is no date; write 2026-01-31T12:00:00Z"),
]


def same(left, right):
    return repr(left) == repr(right)


@pytest.mark.parametrize(("column", "value", "wanted"), READ)
def test_a_value_is_read_as_training_read_it(column, value, wanted):
    assert same(read_value(column, value), wanted)
    assert same(decode_records(build_reader([column]), msgspec.json.encode({"n": value})).rows, [(wanted,)])


@pytest.mark.parametrize(("column", "value", "rule", "why"), REFUSED)
def test_a_value_that_breaks_a_rule_is_refused_with_the_rule(column, value, rule, why):
    assert read_value(column, value) == Refusal(rule, why)
    (problem,) = decode_records(build_reader([column]), json.dumps({"rows": [{"n": value}]}).encode())
    assert (problem.rule, problem.why, problem.field, problem.row) == (rule, why, "n", 0)


def test_a_number_that_meant_missing_in_the_source_means_missing():
    assert same(read_value(NUMBER, -999), math.nan)
    assert decode_records(build_reader([NUMBER]), b'{"n": -999.0}').rows[0][0] != 0


@pytest.mark.parametrize(
    "text", ["2026-01-31", "2026-01-31T12:30", "2026-01-31 12:30:15.5Z", "0001-01-01T00:00:00+14:00", "31.1.2026 8:05"]
)
def test_moments_are_those_of_the_canonical_frame(text):
    training = canonical_frame(pd.DataFrame({"at": [text]}), {"at": "datetime"})["at"].astype("int64").iloc[0]
    assert read_moment(text, False) == training


COLUMNS = (
    Column("a number", "number", min=-1e3, max=1e3),
    Column("lambda", "integer"),
    Column("größe", "category", allowed=("a", "b", "3"), nulls=("", "b")),
    Column("free", "category", nulls=("", "x")),
    Column("note", "text", nullable=False),
    Column("flag", "boolean"),
    Column("at", "datetime", nullable=False),
)
MOMENTS = st.datetimes().map(lambda at: at.isoformat()) | st.sampled_from(["1.2.2026", "2026-02-30", "", "NA", "x"])
VALUES = {
    "number": st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.floats(-1e3, 1e3),
    "integer": st.none() | st.integers() | st.floats(-1e19, 1e19) | st.integers(0, 5).map(float),
    "category": st.sampled_from(["a", "b", "3", "x", " a", "", None, 3, 3.0, 2.5, True, 2**70]) | st.text(max_size=3),
    "text": st.text(max_size=4) | st.none() | st.integers(),
    "boolean": st.sampled_from([True, False, None, 0, 1, 1.0, 2, "yes"]),
    "datetime": MOMENTS | st.none(),
}
BODIES = st.fixed_dictionaries(
    {column.name: VALUES[column.type] for column in COLUMNS}, optional={"id": VALUES["text"], "extra": st.none()}
)


@settings(max_examples=120, deadline=None)
@given(record=BODIES, draw=st.randoms(use_true_random=False), count=st.sampled_from([1, 2, MANY, MANY + 1]))
def test_the_compiled_check_says_nothing_that_the_exact_one_does_not(record, draw, count):
    reader = build_reader(COLUMNS, "id")
    try:
        body = msgspec.json.encode(record)
    except UnicodeEncodeError:
        return
    assert same(decode_records(reader, body), decode_records(reader.exact(), body))
    names = draw.sample(list(record), len(record))
    split = {"dataframe_split": {"columns": names, "data": [[record[name] for name in names]] * count}}
    body = msgspec.json.encode(split)
    assert same(decode_invocation(reader, body), decode_invocation(reader.exact(), body))


def test_what_almost_all_send_needs_no_second_look():
    plain = {"a number": 1, "lambda": 3, "größe": "a", "free": "y", "note": "z", "flag": True, "at": "2026-01-31"}
    reader = build_reader(COLUMNS, "id")
    for record in (plain, {**plain, "id": 17}, {**plain, "free": None, "a number": None, "flag": False}):
        struct = reader.decoders[""].decode(msgspec.json.encode(record))
        found = reader.finish_one(struct)
        assert found is not None
        assert same(found, reader.read_records([record], single=True))


def test_every_problem_is_told_up_to_a_limit():
    reader = build_reader(COLUMNS)
    problems = reader.read_records([{"a number": "x", "flag": 3, "s\nx": 1}, 7, {}])
    told = {(problem.row, problem.field, problem.rule) for problem in problems}
    assert {(0, "s?x", "extra"), (0, "a number", "type"), (0, "flag", "type"), (0, "at", "missing")} <= told
    assert (1, None, "type") in told
    assert (2, "note", "missing") in told
    assert len(reader.read_records([{}] * 1000)) == MOST_PROBLEMS


def test_the_callers_own_name_of_a_row_is_kept():
    reader = build_reader([NUMBER], "customer")
    assert reader.read_records([{"n": 1, "customer": 17.0}, {"n": 1}]).ids == ["17", None]
    assert decode_records(reader, b'{"n": 1, "customer": "x"}') == Rows([(1.0,)], ["x"], single=True)
    (problem,) = decode_records(reader, json.dumps({"n": 1, "customer": "x" * 300}).encode())
    assert (problem.rule, problem.field) == ("length", "customer")


def test_an_input_may_be_the_name_of_a_row_as_well():
    reader = build_reader([Column("n", "category")], "n")
    assert decode_records(reader, b'{"n": "x"}') == Rows([("x",)], ["x"], single=True)


def test_a_field_more_is_refused():
    (problem,) = decode_records(build_reader([NUMBER]), b'{"n": 1, "more": [1, 2]}')
    assert (problem.rule, problem.field) == ("extra", "more")


def test_columns_have_the_rules_of_the_spec_and_the_nulls_of_the_source():
    values = tiny_spec("tiny")
    values["data"]["time_column"] = "at"
    values["features"] = {
        "numeric": ["price"],
        "categorical": ["plan", "größe"],
        "derive": [{"name": "month", "kind": "month", "of": "at"}],
    }
    values["features"]["numeric"].append("month")
    values["schema"] = {
        "columns": {
            "price": {"type": "number", "min": 0, "max": 9, "max_null_share": 0},
            "plan": {"type": "category", "allowed": ["basic", 3], "unseen": "warn", "max_null_share": 0.1},
        }
    }
    spec = ModelSpec.model_validate(values)
    texts = TextRules(nulls=("", " ? "), day_first=True)
    read = build_preprocessing(FeatureSpec(**values["features"]), TYPES, "native", "at", texts).fit(frame())
    found = {column.name: column for column in columns_of(spec, read)}
    common = {"nulls": ("", "?"), "day_first": True}
    assert found["price"] == Column("price", "number", nullable=False, min=0, max=9, **common)
    assert found["plan"] == Column("plan", "category", allowed=("basic", "3"), strict=False, **common)
    assert found["größe"] == Column("größe", "category", **common)
    assert found["at"] == Column("at", "datetime", nullable=False, **common)


def test_texts_of_every_type_have_a_longest():
    for kind, longest in LONGEST.items():
        assert read_value(Column("n", kind), "1" * (longest + 1)).rule == "length"
