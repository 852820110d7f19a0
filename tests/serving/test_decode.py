"""Every form of a body means the same rows; nothing that is sent raises."""

import io
import json
import sys

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evergreen.serving import decode as decode_module
from evergreen.serving import table_columns, unfold
from evergreen.serving.decode import decode_invocation, decode_records
from evergreen.serving.handles import Column, Problem
from evergreen.serving.ordered import orders
from evergreen.serving.reader import Rows, build_reader
from evergreen.serving.rows import row_to_json, rows_to_frame
from evergreen.serving.tables import decode_arrow, decode_parquet
from tests.serving.pipelines import COLUMNS, rows

PAIR = (Column("x", "number", max=9), Column("rows", "category"))
READER = build_reader(PAIR, "id")
ALL = build_reader(COLUMNS, "id")
FORMS = (decode_records, decode_invocation, decode_arrow, decode_parquet)


def written(value):
    return json.dumps(value).encode()


def stream(table):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def arrow_file(table):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def parquet(table):
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


TWO = Rows([(1.0, "a"), (2.0, None)], [None, "k"])
RECORDS = [{"x": 1, "rows": "a"}, {"x": 2, "rows": None, "id": "k"}]
SPLIT = {"columns": ["x", "rows", "id"], "data": [[1, "a", None], [2, None, "k"]]}
COLUMNAR = {"x": [1, 2], "rows": ["a", None], "id": [None, "k"]}


@pytest.mark.parametrize(
    ("decode", "value"),
    [
        (decode_records, {"rows": RECORDS}),
        (decode_invocation, {"dataframe_records": RECORDS}),
        (decode_invocation, {"instances": RECORDS}),
        (decode_invocation, {"instances": COLUMNAR}),
        (decode_invocation, {"dataframe_split": SPLIT}),
        (decode_invocation, {"dataframe_split": {**SPLIT, "index": [0, 1]}, "params": {}}),
    ],
)
def test_all_forms_of_json_are_the_same_rows(decode, value):
    assert decode(READER, written(value)) == TWO


PLAIN = {
    "price": 1.5,
    "unit count": 2,
    "gift": True,
    "plan": "pro",
    "größe": "1",
    "class": "ü",
    "at": None,
    "last": None,
}


@pytest.mark.parametrize("count", [1, 64, 65, 1000])
@pytest.mark.parametrize("names", [list(PLAIN), sorted(PLAIN), [*PLAIN, "id"], ["id", *sorted(PLAIN)]])
def test_rows_as_arrays_are_read_by_the_compiled_check_in_any_order(names, count, monkeypatch):
    given = [{**PLAIN, "price": place, "id": f"row {place}"} for place in range(count)]
    split = {"columns": names, "data": [[row[name] for name in names] for row in given]}
    wanted = [{name: row[name] for name in names} for row in given]
    truth = ALL.exact()
    monkeypatch.setattr(decode_module, "_parse", None)
    for body in ({"dataframe_split": split}, {"dataframe_split": {"index": list(range(count)), **split}}):
        read = decode_invocation(ALL, written(body))
        assert repr(read) == repr(truth.read_records(wanted))
    body = {"dataframe_split": split, "params": {}}
    assert decode_invocation(ALL, written(body)).ids == [row["id"] if "id" in names else None for row in given]


@pytest.mark.parametrize(
    "split",
    [
        {"columns": ["x", "rows"], "data": [[1, "a", 3]]},
        {"columns": ["x", "rows"], "data": [[1]]},
        {"columns": ["x", "rows"], "data": [{"x": 1}]},
        {"columns": ["x", "rows", "rows"], "data": [[1, "a", "b"]]},
        {"columns": ["x", "]"], "data": [[1, "a"]]},
        {"columns": ["x", 3], "data": [[1, "a"]]},
        {"columns": {"x": 0, "rows": 1}, "data": [[1, "a"]]},
        {"columns": ["x"], "data": [[1]]},
        {"columns": ["x", "rows", "id", "more"], "data": [[1, "a", "b", "c"]]},
        {"data": [["columns", "[", "]"]]},
        {},
        [],
    ],
)
def test_arrays_that_are_no_rows_are_told_as_the_exact_check_tells_them(split):
    body = written({"dataframe_split": split})
    problems = decode_invocation(READER, body)
    assert isinstance(problems, tuple)
    assert problems == decode_invocation(READER.exact(), body)


def test_names_that_are_written_twice_are_those_written_last():
    body = b'{"dataframe_split": {"columns": ["x", "rows"], "data": [["a", 1]], "columns": ["rows", "x"]}}'
    assert decode_invocation(READER, body) == Rows([(1.0, "a")], [None])


def test_more_arrays_than_rows_may_be_asked_are_not_read(monkeypatch):
    body = written({"dataframe_split": {"columns": ["x", "rows"], "data": [[1, "a"]] * 1000}})
    assert len(decode_invocation(READER, body, 1000).rows) == 1000
    assert decode_invocation(READER, body, 999)[0].rule == "rows"
    asked = []
    monkeypatch.setattr(decode_module, "named", asked.append)
    assert decode_invocation(READER, body, 10)[0].rule == "rows"
    assert asked == []


def test_an_order_of_names_is_remembered_only_where_it_is_the_models():
    find = orders({"x": float, "rows": str, "id": str | None}, "id")
    assert find(("rows", "x")) is find(("rows", "x"))
    for names in (("x",), ("x", "x"), ("x", "rows", "rows"), ("x", "rows", "y"), ("x", "rows", "id", "y"), ()):
        strange = tuple(f"{name}" for name in names)
        before = sys.getrefcount(strange)
        assert find(strange) is None
        assert sys.getrefcount(strange) == before


@pytest.mark.parametrize(
    "beside", [b'"index": ["\xff"]', b'"\xff": 1', b'"more": 1', b'"index": [[1, 2], {"a": null}]']
)
def test_what_stands_beside_arrays_is_judged_as_the_exact_check_does(beside):
    body = b'{"dataframe_split": {"columns": ["x", "rows"], "data": [[1, "a"]], ' + beside + b"}}"
    assert decode_invocation(READER, body) == decode_invocation(READER.exact(), body)


def test_one_bare_object_is_one_row_even_with_a_field_called_rows():
    assert decode_records(READER, b'{"rows": "a", "x": 1}') == Rows([(1.0, "a")], [None], single=True)
    assert decode_records(READER, written({"rows": RECORDS[:1]})) == Rows([(1.0, "a")], [None])


@pytest.mark.parametrize(
    ("decode", "body", "rule", "field"),
    [
        (decode_records, b"", "body", None),
        (decode_records, b"{", "body", None),
        (decode_records, b"[]", "body", None),
        (decode_records, b"null", "body", None),
        (decode_records, b'{"x": 1} {}', "body", None),
        (decode_records, b'{"x": "\xff"}', "body", None),
        (decode_records, '{"x": 1, "rows": "a"}'.encode("utf-16"), "body", None),
        (decode_records, b"9" * 5000, "body", None),
        (decode_records, b"[" * 100_000, "body", None),
        (decode_records, b'{"x":' * 50_000, "body", None),
        (decode_records, b'{"rows": []}', "empty", None),
        (decode_records, b'{"rows": [], "more": 1}', "extra", "more"),
        (decode_records, b'{"x": NaN, "rows": "a"}', "finite", "x"),
        (decode_records, b'{"x": 1e999, "rows": "a"}', "finite", "x"),
        (decode_records, b'{"rows": [{"x": -Infinity, "rows": "a"}]}', "finite", "x"),
        (decode_invocation, b'{"dataframe_split": {"columns": ["x", "rows"], "data": [[NaN, "a"]]}}', "finite", "x"),
        (decode_invocation, b"[1]", "body", None),
        (decode_invocation, b'{"inputs": []}', "body", None),
        (decode_invocation, b'{"instances": [], "dataframe_records": []}', "body", None),
        (decode_invocation, b'{"instances": []}', "empty", None),
        (decode_invocation, b'{"instances": 3}', "type", "instances"),
        (decode_invocation, b'{"instances": [[1, "a"]]}', "type", None),
        (decode_invocation, b'{"instances": {"x": [1, 2], "rows": ["a"]}}', "type", "dataframe_split"),
        (decode_invocation, b'{"dataframe_records": [], "params": {"a": 1}}', "extra", "params"),
        (decode_invocation, b'{"dataframe_split": {"columns": ["x"]}}', "type", "dataframe_split"),
        (decode_invocation, b'{"dataframe_split": {"columns": ["x", "x"], "data": []}}', "type", "dataframe_split"),
        (decode_invocation, b'{"dataframe_split": {"columns": ["x", "rows"], "data": []}}', "empty", None),
        (decode_invocation, b'{"dataframe_split": {"columns": ["x", "rows"], "data": [[1]]}}', "type", None),
        (decode_arrow, b"", "body", None),
        (decode_arrow, b"ARROW1 and more", "body", None),
        (decode_parquet, b"PAR1PAR1", "body", None),
    ],
)
def test_what_is_no_request_is_told_why(decode, body, rule, field):
    problems = decode(READER, body)
    assert isinstance(problems, tuple)
    assert (problems[0].rule, problems[0].field) == (rule, field)


@pytest.mark.parametrize(
    ("names", "most", "rule"), [(["x", "rows"], 9, "rows"), (["x"], 10, "missing"), (["x", "y"], 10, "extra")]
)
def test_arrays_that_are_no_rows_of_the_model_become_no_objects(names, most, rule, monkeypatch):
    made = []
    monkeypatch.setattr(decode_module, "_rows", lambda reader, records: made.append(records))
    monkeypatch.setattr(decode_module, "_convert", lambda reader, records: made.append(records))
    lists = {name: [[]] * 10 for name in names}
    split = {"columns": names, "data": [[[]] * len(names)] * 10}
    bodies = ((decode_records, {"columns": lists}), (decode_invocation, {"instances": lists}))
    for decode, body in (*bodies, (decode_invocation, {"dataframe_split": split})):
        assert decode(READER, written(body), most)[0].rule == rule
    assert not made


@pytest.mark.parametrize(
    ("write", "decode"), [(stream, decode_arrow), (arrow_file, decode_arrow), (parquet, decode_parquet)]
)
def test_tables_are_the_same_rows_as_json(write, decode):
    asked = rows(COLUMNS, 30)
    table = pa.Table.from_pandas(rows_to_frame(COLUMNS, asked), preserve_index=False)
    by_json = decode_records(ALL, msgspec.json.encode({"rows": [row_to_json(COLUMNS, row) for row in asked]}))
    assert repr(decode(ALL, write(table))) == repr(by_json)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (pa.array([1, 2], pa.int8()), [1.0, 2.0]),
        (pa.array([1.5, None], pa.float32()), [1.5, np.nan]),
        (pa.array(["1.5", "2"]), "type"),
        (pa.array([np.inf, 1.0]), "finite"),
        (pa.array([1.0, 10.0]), "max"),
        (pa.array([True, False]), "type"),
        (pa.array([[1], [2]]), "type"),
    ],
)
def test_columns_of_tables_are_held_to_the_same_rules(values, wanted):
    found = decode_arrow(build_reader([Column("x", "number", max=9)]), stream(pa.table({"x": values})))
    if isinstance(wanted, str):
        assert [(problem.rule, problem.field) for problem in found] == [(wanted, "x")]
    else:
        assert repr([row[0] for row in found.rows]) == repr(wanted)


def test_rows_of_tables_that_break_rules_are_named():
    columns = (
        Column("n", "integer", nullable=False),
        Column("plan", "category", allowed=("a",), nullable=False),
        Column("at", "datetime"),
        Column("free", "category", allowed=("a",), strict=False),
    )
    table = pa.table(
        {
            "n": [1.0, 1.5, None, 3.0],
            "plan": pa.array(["a", "b", " a", ""]).dictionary_encode(),
            "at": ["2026-01-31", "soon", None, ""],
            "free": ["a", "new", None, "\0"],
        }
    )
    problems = decode_arrow(build_reader(columns), stream(table))
    told = {(problem.row, problem.field, problem.rule) for problem in problems}
    assert told == {
        (1, "n", "type"), (2, "n", "null"), (1, "plan", "allowed"), (3, "plan", "null"), (1, "at", "type"),
        (3, "free", "type"),
    }  # fmt: skip


def test_columns_of_tables_are_those_of_the_model():
    table = pa.table({"x": [1.0], "more": [1]})
    told = {(problem.rule, problem.field) for problem in decode_arrow(READER, stream(table))}
    assert told == {("missing", "rows"), ("extra", "more")}
    assert decode_arrow(READER, stream(pa.table({"x": [1.0], "rows": ["a"]}).slice(0, 0)))[0].rule == "empty"


def test_a_table_from_pandas_names_its_rows():
    frame = pd.DataFrame({"x": [1.0], "rows": ["a"], "id": [17]})
    assert decode_arrow(READER, stream(pa.Table.from_pandas(frame))) == Rows([(1.0, "a")], ["17"])


KEYS = st.sampled_from(
    [
        "rows",
        "x",
        "id",
        "dataframe_split",
        "dataframe_records",
        "instances",
        "columns",
        "data",
        "params",
        "index",
        "ü\n",
    ]
)


def test_a_long_text_that_many_rows_repeat_is_refused_before_it_is_repeated():
    texts = pa.DictionaryArray.from_arrays(np.zeros(40_000, np.int32), ["a" * 1_000_000])
    for write, decode in ((stream, decode_arrow), (parquet, decode_parquet)):
        (problem,) = decode(build_reader(PAIR[1:]), write(pa.table({"rows": texts})))
        assert (problem.rule, problem.field) == ("length", "rows")


@pytest.mark.parametrize("kind", [pa.float64(), pa.string()])
def test_names_that_are_no_utf_8_are_refused(kind):
    body = stream(pa.table({"rows": pa.nulls(2, kind)})).replace(b"rows", b"r\x80ws")
    assert decode_arrow(READER, body)[0].rule == "body"


@pytest.fixture
def memory():
    """What Arrow takes from here on, at most."""
    before, pool = pa.default_memory_pool(), pa.proxy_memory_pool(pa.default_memory_pool())
    pa.set_memory_pool(pool)
    yield pool
    pa.set_memory_pool(before)


def compressed(table):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def small(table):
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


WRITTEN = [(stream, decode_arrow), (compressed, decode_arrow), (arrow_file, decode_arrow), (small, decode_parquet)]


@pytest.mark.parametrize(("write", "decode"), WRITTEN)
def test_a_table_of_more_rows_than_may_be_is_refused_before_it_is_unfolded(write, decode, memory):
    body = write(pa.table({"x": np.zeros(2_000_000), "rows": pa.nulls(2_000_000, pa.string())}))
    before = memory.max_memory()
    assert [problem.rule for problem in decode(READER, body, 1_999_999)] == ["rows"]
    assert memory.max_memory() - before < 1_000_000


def test_few_rows_that_unfold_to_too_many_bytes_are_refused_before_they_are(memory, monkeypatch):
    monkeypatch.setattr(unfold, "MOST_BYTES", 10_000_000)
    table = pa.table({"x": [0.0] * 200, "rows": [f"{place:03}" + "a" * 100_000 for place in range(200)]})
    for write, decode in ((compressed, decode_arrow), (small, decode_parquet)):
        body, before = write(table), memory.max_memory()
        assert len(body) < 300_000
        assert [problem.rule for problem in decode(READER, body)] == ["rows"]
        assert memory.max_memory() - before < 2_000_000


@pytest.mark.parametrize(("write", "decode"), [(compressed, decode_arrow), (small, decode_parquet)])
def test_a_column_that_is_not_wanted_is_not_read(write, decode, memory):
    more = pa.array([b"a" * 50_000] * 1_000)
    body = write(pa.table({"x": np.zeros(1_000), "rows": ["a"] * 1_000, "more": more}))
    before = memory.max_memory()
    assert [problem.rule for problem in decode(build_reader(PAIR), body)] == ["extra"]
    assert memory.max_memory() - before < 20_000_000


def test_short_texts_that_are_repeated_too_often_are_not_written_out(memory, monkeypatch):
    monkeypatch.setattr(table_columns, "MOST_BYTES", 10_000_000)
    texts = pa.DictionaryArray.from_arrays(np.zeros(40_000, np.int32), ["a" * 900])
    views = pa.array(["a" * 900] * 40_000).cast(pa.string_view())
    for column in (texts, views):
        body, before = stream(pa.table({"x": np.zeros(40_000), "rows": column})), memory.max_memory()
        assert [problem.rule for problem in decode_arrow(READER, body)] == ["rows"]
        assert memory.max_memory() - before < 10_000_000


@pytest.mark.parametrize(("write", "decode"), WRITTEN)
def test_tables_may_be_compressed(write, decode):
    found = decode(READER, write(pa.table({"x": [1.0] * 5_000, "rows": ["a", None] * 2_500})))
    assert found == Rows([(1.0, "a"), (1.0, None)] * 2_500, [None] * 5_000)


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        (pa.array([0, 2**40], pa.timestamp("s")), "type"),
        (pa.array([0, 2**62], pa.timestamp("s")), "type"),
        (pa.array([0, -(2**55)], pa.timestamp("ms")), "type"),
        (pa.array([0, 2**60], pa.timestamp("us")), "type"),
        (pa.array([0, 2**31 - 1], pa.date32()), "type"),
        (pa.array([0, 86_400_000 * 10**9], pa.date64()), "type"),
        (pa.array(["1970-01-01", "9999-12-31T23:59:59-12:00"]), "type"),
    ],
    ids=str,
)
def test_a_moment_that_nobody_can_say_is_refused(values, rule):
    columns = (Column("at", "datetime"),)
    found = decode_arrow(build_reader(columns), stream(pa.table({"at": values})))
    assert [(problem.rule, problem.field) for problem in found] == [(rule, "at")]
    last = decode_arrow(build_reader(columns), stream(pa.table({"at": ["0001-01-01", "9999-12-31T23:59:59Z"]})))
    assert [row_to_json(columns, row)["at"][:10] for row in last.rows] == ["0001-01-01", "9999-12-31"]


def test_moments_of_json_end_with_the_years_that_can_be_said():
    found = decode_records(build_reader((Column("at", "datetime"),)), b'{"at": "0001-01-01T00:00:00+02:00"}')
    assert [(problem.rule, problem.field) for problem in found] == [("type", "at")]


def test_a_dictionary_that_holds_a_null_is_no_failure():
    parts = [pa.DictionaryArray.from_arrays([0, 1], pa.array(values)) for values in (["a", None], ["b", None])]
    found = decode_arrow(build_reader(PAIR[1:]), stream(pa.table({"rows": pa.chunked_array(parts)})))
    assert found == Rows([("a",), (None,), ("b",), (None,)], [None] * 4)


@pytest.mark.parametrize(
    "names", [pa.array([2**60], pa.timestamp("s")), pa.array([[None] * 3], pa.list_(pa.null(), 3)), pa.array([b"k"])]
)
def test_names_of_rows_are_texts_or_numbers(names):
    found = decode_arrow(READER, stream(pa.table({"x": [1.0], "rows": ["a"], "id": names})))
    assert [(problem.rule, problem.field) for problem in found] == [("type", "id")]


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
)
def test_texts_of_tables_may_be_of_any_kind(kind):
    values = pa.chunked_array([pa.array(["a", None], pa.string()).cast(kind), pa.array(["b"], pa.string()).cast(kind)])
    found = decode_arrow(build_reader(PAIR[1:]), stream(pa.table({"rows": values})))
    assert found == Rows([("a",), (None,), ("b",)], [None] * 3)


SOME = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(value=st.dictionaries(KEYS, SOME, max_size=4) | SOME, decode=st.sampled_from(FORMS[:2]))
@example(value={"rows": {"rows": [[]]}}, decode=decode_records)
def test_no_json_raises(value, decode):
    require_answer(decode(READER, written(value)))


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=60), decode=st.sampled_from(FORMS))
def test_no_bytes_raise(body, decode):
    require_answer(decode(READER, body))


@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, 10_000), byte=st.integers(0, 255), which=st.sampled_from([0, 1, 2]))
def test_no_broken_table_raises(place, byte, which):
    write, decode = [(stream, decode_arrow), (arrow_file, decode_arrow), (parquet, decode_parquet)][which]
    whole = bytearray(write(pa.table({"x": [1.0, 2.0], "rows": ["a", None]})))
    whole[place % len(whole)] = byte
    require_answer(decode(READER, bytes(whole)))


def require_answer(found):
    assert isinstance(found, Rows) or (found and all(isinstance(problem, Problem) for problem in found))
    # What is told can be sent.
    assert isinstance(found, Rows) or msgspec.json.encode(found)
