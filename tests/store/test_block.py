"""Rows that are written column by column are read, counted, labelled and forgotten as if each had come alone."""

import sqlite3
from contextlib import closing
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.store.block import pack_block, unpack_block
from evergreen.store.fields import NO_MOMENT, Field, pack_field, plain_field, texts, unpack_field
from evergreen.store.ground_truth import Outcome
from evergreen.store.labelled import LabelledTraffic
from evergreen.store.prediction import Feedback
from evergreen.store.traffic import Traffic
from evergreen.store.traffic_group import MOST_ROWS, packed, unpack
from tests.store.blocks import NOW, alone, block

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KINDS = {
    "number": st.floats(allow_infinity=False) | st.sampled_from([0.1, 12.99, -0.0, 1e300, 5e-324, 123456.5]),
    "integer": st.integers(-(2**53), 2**53).map(float) | st.just(float("nan")),
    "boolean": st.sampled_from([0.0, 1.0, float("nan")]),
    "datetime": st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999) | st.just(NO_MOMENT),
}


@pytest.fixture
def traffic(ledger) -> Traffic:
    return Traffic(ledger.url)


def everything(traffic: Traffic, **options):
    found = traffic.window("churn", NOW - DAY, NOW + DAY, **options)
    return found.inputs.to_pylist(), found.answers.to_pylist()


BLOCKS = {
    "of a classifier": block(),
    "of a regression": block(prediction=plain_field([1.5, 2.0, -3.25, 1e9]), probabilities=None, classes=()),
    "with names": block(row_ids=["c1", None, "c3", "c1"]),
    "a part of a request": block(places=[3, 5, 900, 901]),
    "of one row": block(1),
    "of more than a group": block(MOST_ROWS + 3),
}


@pytest.mark.parametrize("many", BLOCKS.values(), ids=BLOCKS.keys())
def test_what_is_read_of_a_block_is_what_is_read_of_its_rows(traffic, many):
    traffic.write([many], NOW)
    found, counted = everything(traffic), traffic.counts("churn", NOW - DAY, NOW + DAY)
    assert traffic.forget("churn", NOW + HOUR) == len(many)
    assert everything(traffic) == ([], [])
    traffic.write(alone(many), NOW)
    assert everything(traffic) == found
    assert traffic.counts("churn", NOW - DAY, NOW + DAY) == counted
    assert counted[0].rows == len(many)


def test_blocks_and_single_rows_are_written_together_and_only_once(traffic):
    rows = [block(request="a"), *alone(block(2, request="b")), block(request="c", version=4)]
    for _ in range(2):
        traffic.write(rows, NOW)
    _, answers = everything(traffic)
    assert sorted(row["id"] for row in answers) == [
        f"{r}.{n}" for r, many in (("a", 4), ("b", 2), ("c", 4)) for n in range(many)
    ]
    assert [(each.version, each.rows) for each in traffic.counts("churn", NOW - DAY, NOW + DAY)] == [(3, 6), (4, 4)]


def test_only_the_fields_that_are_asked_for_are_unfolded():
    content = pack_block(block(), 5)
    assert unpack(content, ["plan", "tariff"])["inputs"] == {"plan": ["basic", None, "pro", "basic"]}
    assert unpack(content, ())["probabilities"].keys() == {"no", "yes"}


def feedback(name: str, said: str = "yes", days: float = 1) -> Feedback:
    at = NOW + timedelta(days=days)
    return Feedback("churn", said, at, at, prediction_id=name)


def labels(traffic: Traffic) -> dict[str, object]:
    found = traffic.labelled("churn", NOW - DAY, NOW + DAY, NOW + 60 * DAY)
    answers = found.answers
    return dict(zip(answers.column("id").to_pylist(), answers.column("label").to_pylist(), strict=True))


@pytest.mark.parametrize(
    "many", [block(12), block(MOST_ROWS + 3), block(12, row_ids=["c"] * 12)], ids=["few", "many", "named"]
)
def test_a_label_finds_its_row_of_a_block_and_no_other(traffic, many):
    traffic.write([many, block(12, request="other")], NOW)
    last = f"6a-1f.{len(many) - 1}"
    said = [feedback("6a-1f.1"), feedback(last, "no"), feedback("6a-1f.1", "no", 2), feedback("6a-1f.1", "no", 2)]
    outcomes = traffic.write_feedback(said[:2]) + traffic.write_feedback(said[2:])
    assert outcomes == (Outcome.NEW, Outcome.NEW, Outcome.CORRECTED, Outcome.DUPLICATE)
    assert labels(traffic) == {"6a-1f.1": "no", last: "no"}
    (found,) = LabelledTraffic(traffic.url).chunks("churn", NOW + 60 * DAY)
    assert sorted(found.answers.column("id").to_pylist()) == sorted(["6a-1f.1", last])
    assert LabelledTraffic(traffic.url).known("churn", ["6a-1f.0", last, "nobody"]) == {"6a-1f.0", last}
    assert traffic.counts("churn", NOW - DAY, NOW + DAY)[0].labelled == 2
    assert traffic.classes_of("churn", said[:1]) == [{"no", "yes"}]


@pytest.mark.parametrize(
    "name",
    [
        "6a-1f.12",
        "6a-1f.01",
        "6a-1f.",
        "6a-1f",
        "6a-1f.*",
        "6a-1.1",
        "6a-1f.1x",
        "6a-1f.-1",
        "6a-1f." + "9" * 40,
        "7",
        "",
        "*",
    ],
)
def test_what_is_no_row_of_a_block_gets_no_label(traffic, name):
    traffic.write([block(12)], NOW)
    assert traffic.write_feedback([feedback(name)]) == (Outcome.UNKNOWN,)
    assert labels(traffic) == {}
    assert LabelledTraffic(traffic.url).known("churn", [name, "6a-1f.11"]) == {"6a-1f.11"}


def test_a_label_that_came_first_counts_once_the_block_is_written(traffic):
    assert traffic.write_feedback([feedback("6a-1f.3")]) == (Outcome.UNKNOWN,)
    traffic.write([block()], NOW)
    assert labels(traffic) == {"6a-1f.3": "yes"}


def test_a_row_that_the_caller_named_is_found_by_that_name(traffic):
    traffic.write([block(row_ids=["c1", None, "c3", None])], NOW)
    at = NOW + DAY
    assert traffic.write_feedback([Feedback("churn", "yes", at, at, row_id="c3")]) == (Outcome.NEW,)
    assert labels(traffic) == {"6a-1f.2": "yes"}


def test_a_block_without_names_has_one_row_of_the_index_a_group(ledger):
    Traffic(ledger.url).write([block(MOST_ROWS + 3)], NOW)
    (first, second) = packed([block(MOST_ROWS + 3)])
    assert [len(each.places) for each in (first, second)] == [1, 1]
    assert [each.places[0][:2] for each in (first, second)] == [(0, "6a-1f.*"), (MOST_ROWS, "6a-1f.*")]
    if ledger.url.startswith("sqlite"):
        with closing(sqlite3.connect(ledger.url.removeprefix("sqlite:///"))) as opened:
            assert opened.execute("SELECT count(*) FROM predictions").fetchone() == (2,)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_value_survives_exactly(data):
    kind = data.draw(st.sampled_from([*KINDS, "text"]))
    if kind == "text":
        field = texts(data.draw(st.lists(st.none() | st.text(max_size=4), max_size=400)))
    else:
        values = data.draw(st.lists(KINDS[kind], max_size=60))
        field = Field(kind, np.array(values, dtype=np.int64 if kind == "datetime" else np.float64))
    again = unpack_field(pack_field(field))
    # As text, so that a NaN is the same as a NaN, and 0 no -0.
    assert repr(again.tolist()) == repr(field.tolist())


@pytest.mark.parametrize(
    ("values", "width"),
    [
        ([3, 4], 1),
        ([0.5, 99.99], 2),
        ([12.25, 1e6], 4),
        ([1e6 + 0.0625, 2.0], 8),
        ([0.1 + 0.2], 8),
        ([1.0, np.nan], 8),
        ([-0.0], 8),
    ],
)
def test_numbers_of_few_decimals_take_few_bytes(values, width):
    stored = pack_field(Field("number", np.array(values, dtype=np.float64)))
    assert len(stored["values"]) == width * len(values)


def test_long_texts_are_compressed_and_come_back():
    field = texts([f"{place} said at length" * 9 for place in range(300)])
    stored = pack_field(field)
    assert len(stored["names"]) < 10_000
    assert unpack_field(stored).tolist() == field.tolist()


def test_a_block_takes_less_than_half_the_bytes_of_its_numbers_as_text():
    draw = np.random.default_rng(0)
    many = block(1000, inputs={f"x{place}": Field("number", draw.normal(size=1000)) for place in range(10)})
    as_text = sum(len(repr(values)) for values in unpack_block(pack_block(many, 0))["inputs"].values())
    assert len(pack_block(many, 0)) < as_text / 2


def mails(rows: int) -> Field:
    return texts([f"{place}@example.com" for place in range(rows)])


def test_nothing_of_a_row_that_is_not_taken_is_written():
    share = block(1000, inputs={"mail": mails(1000)}, prediction=mails(1000)).take([7, 900])
    assert (len(share.inputs["mail"].names), len(share.prediction.names)) == (2, 2)
    assert unpack_field(pack_field(mails(1000).take([7, 900]))).tolist() == ["7@example.com", "900@example.com"]
    untold = Field("text", np.array([2, 0, 2], dtype=np.int32), ["a", "Eva", None])
    assert b"Eva" not in pack_block(block(3, inputs={"name": untold}), 0)
    assert unpack_field(pack_field(untold)).tolist() == [None, "a", None]


def test_the_places_of_a_share_become_an_array_once(monkeypatch):
    seen, take = [], Field.take
    monkeypatch.setattr(Field, "take", lambda field, places: seen.append(places) or take(field, places))
    found = block(10).take([1, 7])
    assert (found.places, found.inputs["count"].tolist(), found.probabilities.shape) == ([1, 7], [1, 7], (2, 2))
    assert len(seen) == 6
    assert {(id(places), type(places)) for places in seen} == {(id(seen[0]), np.ndarray)}


def test_a_part_of_a_request_has_the_size_of_its_own_rows():
    rows = 4 * MOST_ROWS
    parts = list(block(rows, inputs={"mail": mails(rows)}).parts(MOST_ROWS))
    assert [len(part.inputs["mail"].names) for part in parts] == [MOST_ROWS] * 4
    alone = block(MOST_ROWS, inputs={"mail": texts(parts[-1].inputs["mail"].tolist())})
    assert max(len(pack_block(part, 0)) for part in parts) <= len(pack_block(alone, 0)) + 100
