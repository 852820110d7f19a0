"""What is wrong with a request is said by field, row and rule, and nothing else is."""

import asyncio
import json
import logging

import pyarrow as pa
import pytest

from evergreen.serving.body import Reader
from evergreen.serving.limits import Limits
from evergreen.serving.refused import Refused
from tests.serving.application import ROW, application, ask, connect, failing, gather, served

SECRET = "geheimnis"


@pytest.fixture(scope="module")
def app():
    return application(served(), limits=Limits(body_bytes=20_000, rows=100))


def without(name):
    return {key: value for key, value in ROW.items() if key != name}


BAD_ROWS = [
    (without("price"), "price", "missing"),
    ({**ROW, "colour": SECRET}, "colour", "extra"),
    ({**ROW, "price": SECRET}, "price", "type"),
    ({**ROW, "price": True}, "price", "type"),
    ({**ROW, "price": "3"}, "price", "type"),
    ({**ROW, "price": [1]}, "price", "type"),
    ({**ROW, "price": -0.1}, "price", "min"),
    ({**ROW, "price": 100.5}, "price", "max"),
    ({**ROW, "price": float("nan")}, "price", "finite"),
    ({**ROW, "price": float("inf")}, "price", "finite"),
    ({**ROW, "price": 10**400}, "price", "finite"),
    ({**ROW, "count": None}, "count", "null"),
    ({**ROW, "count": 1.5}, "count", "type"),
    ({**ROW, "plan": SECRET}, "plan", "allowed"),
    ({**ROW, "plan": {"a": 1}}, "plan", "type"),
    ({**ROW, "gift": 7}, "gift", "type"),
    ({**ROW, "last": "yesterday"}, "last", "type"),
    ({**ROW, "last": 17}, "last", "type"),
    ({**ROW, "note": "x" * 200_001}, "note", "length"),
    ({**ROW, "parcel": ["a"]}, "parcel", "type"),
]


@pytest.mark.parametrize(("row", "field", "rule"), BAD_ROWS, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("place", [None, 2])
def test_a_row_that_breaks_a_rule_is_refused_with_field_row_and_rule(row, field, rule, place):
    app = application(served())
    body = row if place is None else {"rows": [ROW, ROW, row]}
    reply = ask(app, "POST", "/predict", content=json.dumps(body), headers={"content-type": "application/json"})
    assert reply.status_code == 422
    error = reply.json()["error"]
    assert error["kind"] == "invalid"
    assert [(p["field"], p["row"], p["rule"]) for p in error["problems"]] == [(field, place or 0, rule)]
    assert len(reply.text) < 600


BAD_BODIES = [
    (b"", 400, "malformed"),
    (b"{", 400, "malformed"),
    (b"null", 400, "malformed"),
    (b"[1]", 400, "malformed"),
    (b"\xff\xfe", 400, "malformed"),
    (b"[" * 15_000, 400, "malformed"),
    (b'{"a":' * 3_000, 400, "malformed"),
    (b'{"rows": []}', 422, "invalid"),
    (b'{"rows": [[]]}', 422, "invalid"),
    (b'{"rows": 3}', 422, "invalid"),
    (b"{}", 422, "invalid"),
    (b" " * 20_001, 413, "too_large"),
    (json.dumps({"rows": [{"price": 1}] * 21}).encode(), 422, "invalid"),
]


@pytest.mark.parametrize(("body", "status", "kind"), BAD_BODIES, ids=range(len(BAD_BODIES)))
@pytest.mark.parametrize("path", ["/predict", "/models/parcels/predict"])
def test_a_body_that_is_no_request_is_refused(app, path, body, status, kind):
    reply = ask(app, "POST", path, content=body, headers={"content-type": "application/json"})
    assert (reply.status_code, reply.json()["error"]["kind"]) == (status, kind)
    assert len(reply.json()["error"]["problems"]) <= 100


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "kind"),
    [
        ("GET", "/predict", {}, 405, "method"),
        ("DELETE", "/models/parcels/predict", {}, 405, "method"),
        ("POST", "/health", {}, 405, "method"),
        ("POST", "/nothing", {}, 404, "not_found"),
        ("POST", "/models/parcels/nothing", {}, 404, "not_found"),
        ("POST", f"/models/{SECRET}/predict", {}, 404, "unknown_model"),
        ("POST", "/models/%2e%2e/predict", {}, 404, "unknown_model"),
        ("POST", "/predict", {"content-type": "text/plain"}, 415, "content_type"),
        ("POST", "/predict", {"content-type": "application/x-www-form-urlencoded"}, 415, "content_type"),
        ("POST", "/feedback", {"content-type": "text/csv"}, 503, "no_store"),
        ("POST", "/predict", {"content-length": "99999999999"}, 413, "too_large"),
        ("POST", "/predict", {"content-length": "many"}, 400, "malformed"),
    ],
)
def test_what_is_not_served_is_refused_in_the_same_form(app, method, path, headers, status, kind):
    headers = {"content-type": "application/json", **headers}
    reply = ask(app, method, path, content=b"{}" if method == "POST" else None, headers=headers)
    error = reply.json()["error"]
    assert (reply.status_code, error["kind"], error["problems"]) == (status, kind, [])
    assert SECRET not in reply.text
    assert reply.headers["x-request-id"]


def test_too_many_rows_are_refused(app):
    tables = {"rows": [{"price": 1, "count": 1, "plan": None, "gift": None, "last": None, "note": None}] * 101}
    reply = ask(app, "POST", "/predict", json=tables)
    assert (reply.status_code, reply.json()["error"]["kind"]) == (413, "too_many_rows")


@pytest.mark.parametrize("kind", ["application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"])
@pytest.mark.parametrize("body", [b"", b"PAR1", b"ARROW1\0\0", b"\xff\xff\xff\xff\x10\0\0\0" * 9])
def test_a_broken_table_is_refused(app, kind, body):
    reply = ask(app, "POST", "/predict", content=body, headers={"content-type": kind})
    assert (reply.status_code, reply.json()["error"]["kind"]) == (400, "malformed")


BAD_LABELS = [
    ({"label": "no"}, "prediction_id", "missing"),
    ({"row_id": "a"}, "label", "missing"),
    ({"row_id": "a", "label": None}, "label", "null"),
    ({"row_id": "a", "label": ["no"]}, "label", "type"),
    ({"row_id": ["a"], "label": "no"}, "row_id", "type"),
    ({"row_id": "a" * 300, "label": "no"}, "row_id", "length"),
    ({"row_id": "a", "label": "no", "at": "soon"}, "at", "type"),
    ({"row_id": "a", "label": "no", "at": "2026-05-01T00:00:00"}, "at", "type"),
    ({"row_id": "a", "label": "no", "at": "2030-01-01T00:00:00Z"}, "at", "max"),
    ({"row_id": "a", "label": "no", "at": "0001-01-01T00:00:00+23:00"}, "at", "type"),
    ({"row_id": "a", "label": "no", "model": "letters"}, "model", "model"),
    ({"row_id": "a", "label": "no", "model": ["parcels"]}, "model", "model"),
    ({"row_id": "a", "label": "no", "extra": {"a": "x" * 3000}}, "extra", "type"),
    ({"row_id": "a", "label": "no", SECRET: 1}, None, "extra"),
]


class Shelf:
    """A store for labels that remembers them."""

    def __init__(self):
        self.labels = []

    def write_feedback(self, feedback):
        self.labels += feedback
        return ["new"] * len(feedback)


@pytest.mark.parametrize(("item", "field", "rule"), BAD_LABELS)
@pytest.mark.parametrize("place", [None, 1])
def test_a_label_that_says_nothing_is_refused_and_none_beside_it_is_kept(item, field, rule, place):
    shelf = Shelf()
    app = application(served(), labels=shelf)
    body = item if place is None else {"feedback": [{"row_id": "b", "label": "yes"}, item]}
    reply = ask(app, "POST", "/feedback", json=body)
    assert reply.status_code == 422
    problems = reply.json()["error"]["problems"]
    assert [(p["field"], p["row"], p["rule"]) for p in problems] == [(field, place or 0, rule)]
    assert SECRET not in reply.text
    assert shelf.labels == []


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"feedback": []}', b'{"feedback": 1}', b'{"feedback": [], "a": 1}']
)
def test_a_body_without_labels_is_refused(body):
    app = application(served(), labels=Shelf())
    reply = ask(app, "POST", "/feedback", content=body, headers={"content-type": "application/json"})
    assert (reply.status_code, reply.json()["error"]["kind"]) == (400, "malformed")


@pytest.mark.parametrize("rows", [1, 100])
def test_a_model_that_breaks_is_answered_with_an_id_and_logged_without_features(rows, caplog):
    app = application(failing(66.0))
    bad = {**ROW, "price": 66.0}
    with caplog.at_level(logging.ERROR):
        reply = ask(app, "POST", "/predict", json=bad if rows == 1 else {"rows": [bad] * rows})
    error = reply.json()["error"]
    assert (reply.status_code, error["kind"]) == (500, "internal")
    assert error["request_id"] == reply.headers["x-request-id"]
    assert error["request_id"] in caplog.text
    assert "ValueError" in caplog.text
    assert "secret feature" not in reply.text + caplog.text


def test_a_request_that_breaks_the_model_breaks_no_other():
    app = application(failing(66.0))
    rows = [{**ROW, "price": 66.0 if place == 3 else float(place)} for place in range(8)]
    replies = gather(app, [("POST", "/predict", {"json": row}) for row in rows])
    assert [reply.status_code for reply in replies] == [200, 200, 200, 500, 200, 200, 200, 200]


def test_a_table_of_too_many_rows_is_too_large_as_a_list_of_them_is(app):
    table = pa.table({name: [value] * 101 for name, value in ROW.items()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    headers = {"content-type": "application/vnd.apache.arrow.stream"}
    reply = ask(app, "POST", "/predict", content=sink.getvalue().to_pybytes(), headers=headers)
    assert (reply.status_code, reply.json()["error"]["kind"]) == (413, "too_many_rows")


def test_a_body_that_grows_beyond_the_bound_is_not_read_to_its_end():
    read = []

    async def endless():
        for _ in range(1000):
            read.append(1)
            yield b" " * 10_000

    async def send():
        async with connect(application(served(), limits=Limits(body_bytes=50_000))) as client:
            return await client.post("/predict", content=endless(), headers={"content-type": "application/json"})

    assert asyncio.run(send()).status_code == 413
    assert len(read) <= 7


def reading(limits, *messages, pause=0.0):
    """Read a body that comes in these messages; what is held afterwards."""
    reader, left = Reader(limits), list(messages)

    async def receive():
        await asyncio.sleep(pause)
        return left.pop(0)

    async def run():
        try:
            return await reader.read(receive, {})
        except Refused as refused:
            return refused

    return asyncio.run(run()), reader.held


def part(size, more=True):
    return {"type": "http.request", "body": b"x" * size, "more_body": more}


def test_the_bytes_of_all_bodies_have_a_bound_too():
    refused, held = reading(Limits(body_bytes=100, held_bytes=15), part(10), part(10, False))
    assert (refused.status, refused.kind, held) == (503, "busy", 0)


def test_a_body_that_does_not_come_is_not_waited_for():
    refused, held = reading(Limits(body_seconds=0.02), part(10), part(10, False), pause=0.05)
    assert (refused.status, refused.kind, held) == (408, "too_slow", 0)


def test_a_body_in_pieces_is_whole():
    assert reading(Limits(), part(3), part(0), part(2, False)) == (b"xxxxx", 5)


def test_each_piece_of_a_body_is_looked_at_once():
    looked = []

    class Piece(bytes):
        def __len__(self):
            looked.append(self)
            return super().__len__()

    pieces = [{"type": "http.request", "body": Piece(b"x"), "more_body": place < 499} for place in range(500)]
    body, held = reading(Limits(), *pieces)
    assert (len(body), held) == (500, 500)
    assert len(looked) <= 10 * len(pieces)


def test_a_client_that_leaves_gets_no_answer_and_breaks_nothing():
    app, sent = application(served()), []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": [(b"host", b"localhost")], "client": None}
    asyncio.run(app(scope, receive, send))
    assert sent == []
