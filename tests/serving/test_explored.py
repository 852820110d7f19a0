"""A share of the answers is marked, so that their labels come back whatever was predicted."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from evergreen.serving.answers import Said, captured_of, to_arrow, to_invocation
from evergreen.serving.by_column import by_column
from evergreen.serving.capture import Capture
from evergreen.serving.document import components
from evergreen.serving.explored import explored_of, is_explored
from evergreen.serving.handles import Answers
from evergreen.serving.kept import Kept, Rules
from evergreen.serving.reader import MANY, Rows
from evergreen.store.block import Block
from evergreen.store.ledger import Ledger
from evergreen.store.traffic import Traffic
from evergreen.store.traffic_writer import TrafficWriter
from tests.serving.application import NOW, ROW, application, ask, served
from tests.serving.pipelines import rows
from tests.store.blocks import alone, block

NAMES = ["c1", None, "c3", "c1", "c5"]
MARKS = [True, False, True, True, False]
ANSWERS = Answers(["no", "yes", "yes", "no", "no"], np.full((5, 2), 0.5), ("no", "yes"))


def exploring(share):
    return replace(served(), explore=share)


def said(explored, columnwise=False):
    model = served()
    asked = rows(model.columns, 5, seed=3)
    return Said(
        model, "6a-1f", Rows(by_column(model.columns, asked) if columnwise else asked, NAMES), ANSWERS, explored
    )


def test_the_share_of_names_is_the_one_that_was_asked_for():
    assert 400 < sum(is_explored(f"c{place}", 0.05) for place in range(10_000)) < 600


def test_it_says_nothing_of_the_share_that_is_captured():
    captured = [name for name in map(str, range(100_000, 120_000)) if Kept(share=0.2)._takes(name)]
    assert 0.07 < np.mean([is_explored(name, 0.1) for name in captured]) < 0.13


def test_a_row_is_explored_in_every_request_or_in_none_and_one_without_a_name_goes_by_its_request():
    ids = [f"c{place}" for place in range(200)]
    first, second = (explored_of(Rows([()] * 200, ids), request, 0.3) for request in ("r-1", "r-2"))
    assert first == second
    assert 30 < sum(first) < 90
    nameless = [explored_of(Rows([()] * 3, [None] * 3), f"r-{request}", 0.3) for request in range(200)]
    assert all(len(set(marks)) == 1 for marks in nameless)
    assert 30 < sum(marks[0] for marks in nameless) < 90


@pytest.mark.parametrize("asked", [ROW, ROW | {"parcel": "c7"}, {"rows": [ROW, ROW]}])
def test_answers_without_exploration_are_byte_equal(asked):
    # So small a share marks nobody.
    off, none = (ask(application(model), "POST", "/predict", json=asked) for model in (served(), exploring(1e-15)))
    assert b"explored" not in off.content
    assert none.content == off.content


def test_an_answer_that_is_explored_says_so_and_predicts_the_same():
    (off, marked) = (
        ask(application(model), "POST", "/predict", json=ROW | {"parcel": "c7"}).json()
        for model in (served(), exploring(1.0))
    )
    assert marked == off | {"explored": True}
    names = [f"c{place}" for place in range(40)]
    told = ask(
        application(exploring(0.3)), "POST", "/predict", json={"rows": [ROW | {"parcel": name} for name in names]}
    ).json()["predictions"]
    assert [one.get("explored") for one in told] == [is_explored(name, 0.3) or None for name in names]


def test_tables_and_invocations_have_a_column_of_it_only_where_something_is_explored():
    table = pa.ipc.open_stream(to_arrow(said(MARKS))).read_all()
    assert table.column("explored").to_pylist() == MARKS
    assert "explored" not in pa.ipc.open_stream(to_arrow(said(None))).read_all().column_names
    assert msgspec.json.decode(to_invocation(said(MARKS)))["explored"] == MARKS
    assert b"explored" not in to_invocation(said(None))


@pytest.mark.parametrize("marks", [None, MARKS, [False] * 5])
def test_many_rows_are_captured_as_each_of_them_is(marks):
    many = captured_of(said(marks, columnwise=True), NOW, 2.5)
    each = captured_of(said(marks), NOW, 2.5)
    assert isinstance(many, Block)
    assert alone(many) == each
    assert [one.explored for one in each] == (marks or [False] * 5)


@pytest.mark.parametrize("row_ids", [None, [f"c{place // 2}" if place % 3 else None for place in range(90)]])
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_what_is_explored_of_many_rows_is_captured_outside_the_share_too(row_ids, share):
    for request in map(str, range(6)):
        many = block(90, request=request, row_ids=row_ids, explored=[place % 9 == 0 for place in range(90)])
        chosen = Rules({"churn": Kept(share)}).choose(many)
        assert alone(chosen) == [p for p in alone(many) if Kept(share).takes(p)]
        assert sum(chosen.explored) == 10


@pytest.mark.parametrize("count", [1, MANY + 50])
def test_what_is_explored_reaches_the_store_though_nothing_else_is_captured(tmp_path, count):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    Ledger(url).prepare()
    capture = Capture(TrafficWriter(url), lambda: NOW, {"parcels": Kept(share=0)})
    app = application(exploring(0.5), capture=capture)
    names = [f"c{place}" for place in range(100)]
    for start in range(0, 100, count) if count > 1 else range(20):
        asked = [ROW | {"parcel": name} for name in names[start : start + count]]
        assert ask(app, "POST", "/predict", json={"rows": asked}).is_success
    capture.close(5)
    found = Traffic(url).window("parcels", NOW - timedelta(days=1), NOW + timedelta(days=1)).answers.to_pylist()
    asked_for = names if count > 1 else names[:20]
    assert sorted(row["row_id"] for row in found) == sorted(name for name in asked_for if is_explored(name, 0.5))
    assert all(row["explored"] for row in found)


def test_the_document_names_the_mark_and_promises_it_to_nobody():
    for name in ("Answer", "Prediction"):
        schema = components()[name]
        assert schema["properties"]["explored"]["type"] == "boolean"
        assert "explored" not in schema["required"]
