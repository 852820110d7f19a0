"""Requests of many rows are kept column by column, and say what the same rows say one by one."""

import asyncio
from datetime import timedelta

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.serving.answers import Said, captured_of, to_arrow, to_invocation, to_json, to_parquet
from evergreen.serving.by_column import ByColumn, by_column
from evergreen.serving.capture import Capture
from evergreen.serving.decode import decode_invocation, decode_records
from evergreen.serving.encode import compile_encoder
from evergreen.serving.handles import Answers, Column
from evergreen.serving.kept import Kept, Rules
from evergreen.serving.predict_request import PredictRequest
from evergreen.serving.read_columns import NotSo
from evergreen.serving.reader import MANY, Rows, build_reader
from evergreen.serving.rows import rows_to_frame
from evergreen.serving.tables import decode_arrow
from evergreen.serving.wire import Ask
from evergreen.store.block import Block
from evergreen.store.ledger import Ledger
from evergreen.store.traffic import Traffic
from evergreen.store.traffic_writer import TrafficWriter
from tests.serving.application import NOW, ROW, application, ask, served
from tests.serving.pipelines import COLUMNS, columns_read, features, rows
from tests.serving.test_encode import prepared
from tests.serving.test_reader import COLUMNS as RULED
from tests.serving.test_reader import VALUES
from tests.store.blocks import alone, block

DAY = timedelta(days=1)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), encoding=st.sampled_from(["scaled", "imputed", "native"]))
def test_every_number_is_the_one_of_the_row(seed, encoding):
    pipeline = prepared(features(seed), encoding)
    columns, encode = columns_read(pipeline), compile_encoder(pipeline)
    asked = rows(columns, seed=seed)
    found = encode(by_column(columns, asked))
    wanted = encode(asked)
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)


def test_rows_come_back_as_they_were():
    asked = rows(COLUMNS, 9, seed=4)
    kept = by_column(COLUMNS, asked)
    assert repr(list(kept)) == repr(kept) == repr(asked)
    assert repr([kept[place] for place in range(-9, 9)]) == repr([asked[place] for place in range(-9, 9)])
    assert repr(kept[2:5]) == repr(asked[2:5])
    assert rows_to_frame(COLUMNS, kept).equals(rows_to_frame(COLUMNS, asked))


RECORDS = st.lists(
    st.fixed_dictionaries({c.name: VALUES[c.type] for c in RULED}, optional={"id": VALUES["text"]}), max_size=5
)


def outcome(read, structs):
    """The rows and names, or that the exact check has to say."""
    try:
        return repr(read(structs))
    except NotSo:
        return "not so"


def columns_and_names(found):
    return [tuple(found.rows), tuple(found.ids)]


@settings(max_examples=80, deadline=None)
@given(records=RECORDS, id_column=st.sampled_from(["id", "free", "note"]))
def test_what_is_read_of_many_rows_is_what_is_read_of_each(records, id_column):
    reader = build_reader(RULED, id_column)
    structs = []
    for record in records:
        try:
            structs.append(msgspec.convert(record, reader.struct))
        except (msgspec.ValidationError, OverflowError):
            continue
    if structs:
        values = list(zip(*map(msgspec.structs.astuple, structs), strict=True))
        one_by_one = outcome(lambda all_of_them: list(zip(*map(reader.finish, all_of_them), strict=True)), structs)
        together = outcome(lambda columns: columns_and_names(reader.finish_columns(columns)), values)
        assert together == one_by_one


PLAIN = {"a number": 1, "lambda": 3, "größe": "a", "free": " y ", "note": 7, "flag": None, "at": "2026-01-31"}


@pytest.mark.parametrize("more", [{}, {"größe": 3.0}], ids=["compiled", "exact"])
def test_many_rows_are_kept_by_column_however_they_are_read(more):
    reader = build_reader(RULED, "id")
    records = [{**PLAIN, "id": place} for place in range(MANY)] + [{**PLAIN, **more}]
    for key, decode in (("rows", decode_records), ("dataframe_records", decode_invocation)):
        found = decode(reader, msgspec.json.encode({key: records}))
        assert isinstance(found.rows, ByColumn)
        assert found.ids == [*map(str, range(MANY)), None]
        assert repr(found.rows[0]) == repr(reader.read_records(records[:1]).rows[0])
    few = decode_records(reader, msgspec.json.encode({"rows": records[-MANY:]}))
    assert isinstance(few.rows, list)


@pytest.mark.parametrize("count", [1, MANY + 1])
@pytest.mark.parametrize("more", [{}, {"größe": 3.0}, {"id": 7}], ids=["compiled", "exact", "named"])
def test_an_array_a_column_is_the_same_rows(count, more):
    reader = build_reader(RULED, "id")
    records = [PLAIN] * (count - 1) + [{**PLAIN, **({"id": None} if "id" in more else {}), **more}]
    lists = {name: [record.get(name) for record in records] for name in records[-1]}
    found = decode_records(reader, msgspec.json.encode({"columns": lists}))
    wanted = decode_records(reader, msgspec.json.encode({"rows": records}))
    assert (repr(list(found.rows)), found.ids, found.single) == (repr(list(wanted.rows)), wanted.ids, False)
    assert type(found.rows) is type(wanted.rows)


@pytest.mark.parametrize(
    ("key", "size", "large"),
    [("rows", 8_192, False), ("rows", 65_536, True), ("columns", 8_191, False), ("columns", 8_192, True)],
)
def test_arrays_of_many_rows_are_not_read_on_the_loop(key, size, large):
    body = b'{ "%s": ' % key.encode()
    model = served()
    one = PredictRequest(model, model.reader, Ask("6a-1f", {}, body.ljust(size), 0.0), decode_records, to_json)
    assert one.large is large


@pytest.mark.parametrize(("count", "kept"), [(1, list), (MANY, list), (MANY + 1, ByColumn)])
def test_few_rows_of_a_table_are_kept_one_by_one(count, kept):
    sink, table = pa.BufferOutputStream(), pa.table({"n": [1.0] * count})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    assert type(decode_arrow(build_reader([Column("n", "number")]), sink.getvalue().to_pybytes()).rows) is kept


@pytest.mark.parametrize(
    ("change", "rule", "field", "row"),
    [
        ({"flag": []}, "type", "columns", None),
        ({"flag": True}, "type", "columns", None),
        ({"flag": [True, 7]}, "type", "flag", 1),
        ({"more": [1, 2]}, "extra", "more", 0),
        ({"a number": [1e9, None]}, "max", "a number", 0),
    ],
)
def test_what_is_wrong_with_an_array_is_named(change, rule, field, row):
    reader = build_reader(RULED)
    lists = {name: [value] * 2 for name, value in PLAIN.items()} | change
    problem = decode_records(reader, msgspec.json.encode({"columns": lists}))[0]
    assert (problem.rule, problem.field, problem.row) == (rule, field, row)


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (b'{"columns": {}}', "empty"),
        (b'{"columns": {"n": []}}', "empty"),
        (b'{"columns": {"n": [1]}, "rows": []}', "extra"),
        (b'{"columns": [1]}', "extra"),
        (b'{"columns": {"n": [NaN]}}', "finite"),
    ],
)
def test_what_holds_no_arrays_of_rows_is_refused(body, rule):
    assert decode_records(build_reader([Column("n", "number")]), body)[0].rule == rule


def test_a_field_may_be_called_columns():
    reader = build_reader([Column("columns", "number")])
    assert decode_records(reader, b'{"columns": 7}') == Rows([(7.0,)], [None], single=True)
    assert decode_records(reader, b'{"columns": {"columns": [7]}}') == Rows([(7.0,)], [None])


def test_one_row_of_many_that_breaks_a_rule_is_named():
    reader = build_reader(RULED, "id")
    records = [PLAIN] * MANY + [{**PLAIN, "a number": 1e9, "note": None}]
    problems = decode_records(reader, msgspec.json.encode({"rows": records}))
    assert [(problem.row, problem.field, problem.rule) for problem in problems] == [
        (MANY, "a number", "max"),
        (MANY, "note", "null"),
    ]


NAMES = ["c1", None, "c3", "c1", "c5"]
CHANCES = np.linspace(0.05, 0.95, 5)
ANSWERS = {
    "classes": Answers(["no", "yes", "yes", "no", "no"], np.column_stack([1 - CHANCES, CHANCES]), ("no", "yes")),
    "a quoted class": Answers(["a", "a", "a", "a", 'b"'], np.column_stack([1 - CHANCES, CHANCES]), ("a", 'b"')),
    "numbers": Answers([1.5, 2.0, -3.0, 1e300, 0.1]),
    "an array": Answers(np.array([1.5, 2.0, -3.0, 1e300, 0.1])),
}


@pytest.mark.parametrize("answers", ANSWERS.values(), ids=ANSWERS.keys())
@pytest.mark.parametrize("names", [NAMES, [None] * 5], ids=["named", "nameless"])
def test_what_is_captured_of_many_rows_is_what_is_captured_of_each(answers, names):
    model, asked = served(), rows(served().columns, 5, seed=3)
    said = Said(model, "6a-1f", Rows(asked, names), answers)
    many = captured_of(Said(model, "6a-1f", Rows(by_column(model.columns, asked), names), answers), NOW, 2.5)
    assert isinstance(many, Block)
    assert alone(many) == captured_of(said, NOW, 2.5)
    assert all(encode(said) for encode in (to_json, to_invocation, to_arrow, to_parquet))
    told = msgspec.json.decode(to_json(said))["predictions"]
    labels = list(answers.predictions)
    for place, one in enumerate(told):
        assert one["prediction_id"] == f"6a-1f.{place}"
        assert one["prediction"] == labels[place]
        assert one.get("row_id") == names[place]
        chances = None if answers.probabilities is None else answers.probabilities[place].tolist()
        assert one["probabilities"] == (chances and dict(zip(answers.classes, chances, strict=True)))


@pytest.mark.parametrize("row_ids", [None, [f"c{place // 2}" if place % 3 else None for place in range(90)]])
def test_a_share_of_many_rows_is_the_share_of_each(row_ids):
    for request in map(str, range(6)):
        many = block(90, request=request, row_ids=row_ids)
        for share in (0.0, 0.3, 1.0):
            rules = Rules({"churn": Kept(share)})
            chosen = rules.choose(many)
            assert [p for p in alone(many) if Kept(share).takes(p)] == (alone(chosen) if len(chosen) else [])


@pytest.mark.parametrize("named", [True, False])
def test_what_is_left_out_of_many_rows_is_left_out_of_each(named):
    many = block(row_ids=["a", "b", None, "d"])
    kept = Kept(leave_out={"plan", "price"}, names_rows=named)
    (stripped,) = Rules({"churn": kept}).strip(many)
    assert alone(stripped) == [kept.strip(prediction) for prediction in alone(many)]


@pytest.mark.parametrize("durable", [True, False])
def test_a_batch_reaches_the_store_and_its_labels_reach_its_rows(tmp_path, durable):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    Ledger(url).prepare()
    capture = Capture(TrafficWriter(url), lambda: NOW, {"parcels": Kept(durable=durable, leave_out={"note"})})
    app = application(served(), capture=capture, labels=Traffic(url))
    asked = [{**ROW, "price": place / 2, "count": place} for place in range(100)]
    told = ask(app, "POST", "/predict", json={"rows": asked}).json()["predictions"]
    if not durable:
        capture.close(5)
    found = Traffic(url).window("parcels", NOW - DAY, NOW + DAY)
    inputs = found.inputs.to_pylist()
    assert [(row["price"], row["count"], row["gift"], row["last"]) for row in inputs] == [
        (row["price"], row["count"], row["gift"], row["last"]) for row in asked
    ]
    assert "note" not in found.inputs.column_names
    answers = found.answers.to_pylist()
    assert [(row["id"], row["prediction"], row["probability_yes"]) for row in answers] == [
        (one["prediction_id"], one["prediction"], one["probabilities"]["yes"]) for one in told
    ]
    label = {"prediction_id": told[70]["prediction_id"], "label": "no"}
    assert ask(app, "POST", "/feedback", json=label).json()["outcome"] == "new"
    capture.close(5)


def test_the_queue_counts_the_rows_of_a_block(tmp_path):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    capture = Capture(TrafficWriter(url), lambda: NOW)
    capture.put(block(300))
    asyncio.run(capture.offer(block(200, request="other")))
    assert capture.state.backlog == 500
    assert capture.close(0) == 500
    assert capture.state.lost == 500
