"""Requests as hypothesis makes them up: those that the rules allow, and those that nobody should send.

What is asked is tests/serving/application.py's model of parcels, which has a column of every type.
"""

import io
import json
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from tests.serving.application import NOW, ROW

SECRET = "x4711geheim"
ARROW, PARQUET = "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"
_TYPES = {
    "price": pa.float64(),
    "count": pa.int64(),
    "plan": pa.string(),
    "gift": pa.bool_(),
    "last": pa.string(),
    "note": pa.string(),
}


@dataclass(frozen=True)
class Sent:
    """A request; `valid` where the rules allow it, so that it has to be answered."""

    path: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)
    method: str = "POST"
    valid: bool = False


# ---- what the rules allow

_writable = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
_days = st.dates().map(lambda day: day.isoformat())
_moments = st.datetimes(timezones=st.just(UTC)).map(lambda at: at.isoformat().replace("+00:00", "Z"))
_names = st.none() | st.integers(0, 10**9) | st.text(_writable, max_size=50)
_valid_row = st.fixed_dictionaries(
    {
        "price": st.none() | st.floats(0, 100) | st.integers(0, 100),
        "count": st.integers(0, 2**53) | st.integers(0, 99).map(float),
        "plan": st.none() | st.sampled_from(["basic", "plus", "pro", " plus "]),
        "gift": st.none() | st.booleans() | st.sampled_from([0, 1, 0.0, 1.0]),
        "last": st.none() | _days | _moments,
        "note": st.none() | st.text(_writable, max_size=30) | st.integers(-99, 99),
    },
    optional={"parcel": _names},
)
_valid_rows = st.lists(_valid_row, min_size=1, max_size=4) | st.builds(
    lambda row, count: [row] * count, _valid_row, st.integers(60, 90)
)
_plain_row = st.fixed_dictionaries(
    {
        "price": st.none() | st.floats(0, 100),
        "count": st.integers(0, 2**53),
        "plan": st.none() | st.sampled_from(["basic", "plus", "pro"]),
        "gift": st.none() | st.booleans(),
        "last": st.none() | _days | _moments,
        "note": st.none() | st.text(_writable, max_size=30),
    }
)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _split(rows: list[dict[str, Any]]) -> Any:
    return {"dataframe_split": {"columns": list(ROW), "data": [[row[name] for name in ROW] for row in rows]}}


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in _TYPES.items()})


def arrow_of(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def parquet_of(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def _as_table(rows: list[dict[str, Any]], kind: str, accept: str | None) -> tuple[bytes, tuple[tuple[str, str], ...]]:
    write = arrow_of if kind == ARROW else parquet_of
    return write(_table(rows)), (("content-type", kind), *([("accept", accept)] if accept else []))


_prefixes = st.sampled_from(["", "/models/parcels"])
_tables = st.builds(
    _as_table,
    st.lists(_plain_row, min_size=1, max_size=4),
    st.sampled_from([ARROW, PARQUET]),
    st.sampled_from([None, ARROW, PARQUET, "application/json"]),
)
_label = st.fixed_dictionaries(
    {"label": st.sampled_from(["yes", "no"])},
    optional={
        "at": st.none() | st.datetimes(max_value=NOW.replace(tzinfo=None), timezones=st.just(UTC)).map(str),
        "extra": st.none() | st.dictionaries(st.text(_writable, max_size=5), st.integers(), max_size=3),
        "model": st.sampled_from([None, "parcels"]),
    },
)
_about = st.sampled_from(["prediction_id", "row_id"])
_labels = st.builds(lambda said, about, number: {**said, about: f"A-{number}"}, _label, _about, st.integers(0, 99))
_columned = st.lists(_plain_row, min_size=1, max_size=4).map(lambda rows: {n: [row[n] for row in rows] for n in ROW})
_predictions = st.one_of(
    _valid_row.map(_json),
    _valid_rows.map(lambda rows: _json({"rows": rows})),
    _columned.map(lambda columns: _json({"columns": columns})),
)
_invocations = st.lists(_plain_row, min_size=1, max_size=4).flatmap(
    lambda rows: st.sampled_from([_split(rows), {"dataframe_records": rows}, {"instances": rows}]).map(_json)
)
_feedback = _labels.map(_json) | st.lists(_labels, min_size=1, max_size=3).map(lambda many: _json({"feedback": many}))


def _posted(what: str, bodies: st.SearchStrategy[bytes]) -> st.SearchStrategy[Sent]:
    return st.builds(lambda prefix, body: Sent(f"{prefix}/{what}", body, valid=True), _prefixes, bodies)


_tabled = st.builds(lambda prefix, made: Sent(f"{prefix}/predict", *made, valid=True), _prefixes, _tables)
_visible = st.characters(min_codepoint=33, max_codepoint=126)
_strangers = st.lists(
    st.tuples(st.text("abcdefgh-", min_size=1, max_size=8).map("x-{}".format), st.text(_visible, max_size=30)),
    max_size=3,
)
_plainly_valid = st.one_of(
    _posted("predict", _predictions),
    _posted("invocations", _invocations),
    _posted("feedback", _feedback),
    _tabled,
)
valid = st.builds(lambda sent, more: replace(sent, headers=(*sent.headers, *more)), _plainly_valid, _strangers)


# ---- what nobody should send

_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(SECRET * 3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*ROW, "x"]), inner, max_size=4),
    max_leaves=12,
)
_forms = st.sampled_from(["rows", "columns", "feedback", "dataframe_split", "dataframe_records", "instances"])
_spoiled_row = st.fixed_dictionaries({name: st.just(value) | _anything for name, value in ROW.items()})
_bodies = (
    st.binary(max_size=60)
    | _anything.map(_json)
    | _spoiled_row.map(_json)
    | st.lists(_spoiled_row, max_size=3).map(lambda rows: _json({"rows": rows}))
    | st.builds(lambda form, inside: _json({form: inside}), _forms, _anything)
    | _spoiled_row.map(lambda columns: _json({"columns": columns}))
    | st.fixed_dictionaries(
        {name: st.lists(st.just(value) | _anything, max_size=2) for name, value in ROW.items()}
    ).map(lambda columns: _json({"columns": columns}))
    | st.lists(_spoiled_row, max_size=2).map(lambda rows: _json(_split(rows)))
    | st.integers(1, 3000).map(lambda depth: b"[" * depth)
    | st.integers(1, 3000).map(lambda depth: b'{"rows":' * depth)
)
_paths = st.sampled_from(
    [
        *(f"{prefix}/{what}" for prefix in ("", "/models/parcels") for what in ("predict", "invocations", "feedback")),
        *(
            "/models/x/predict",
            "/models//predict",
            "/health",
            "/ready",
            "/version",
            "/metrics",
            "/openapi.json",
            "/docs",
        ),
    ]
) | st.text("abc/%._~", max_size=20).map("/{}".format)
_kinds = st.sampled_from(["application/json", "text/plain", ARROW, PARQUET, "", "application/json; charset=latin-1"])
_odd_header = st.tuples(
    st.sampled_from(["accept", "x-api-key", "authorization", "host", "origin", "expect", "cookie", "content-encoding"]),
    st.text(_visible, max_size=40) | st.just(SECRET * 3),
)
_arbitrary = st.builds(
    lambda path, body, kind, more, method: Sent(path, body, (("content-type", kind), *more), method),
    _paths,
    _bodies,
    _kinds,
    st.lists(_odd_header, max_size=2),
    st.sampled_from(["POST"] * 6 + ["GET", "PUT", "DELETE", "OPTIONS", "HEAD"]),
)


def _cut(sent: Sent, at: int) -> Sent:
    return replace(sent, body=sent.body[: at % (len(sent.body) + 1)], valid=False)


def _flipped(sent: Sent, places: list[int], byte: int) -> Sent:
    body = bytearray(sent.body)
    for place in places:
        body[place % len(body)] ^= byte
    return replace(sent, body=bytes(body), valid=False)


def _misplaced(sent: Sent, path: str, kind: str) -> Sent:
    return replace(sent, path=path, headers=(("content-type", kind), *sent.headers[1:]), valid=False)


def _foreign_table(columns: dict[str, list[Any]], kind: str) -> Sent:
    write = arrow_of if kind == ARROW else parquet_of
    return Sent(
        "/predict",
        write(pa.table({name: pa.array(values) for name, values in columns.items()})),
        (("content-type", kind),),
    )


_columns = st.dictionaries(
    st.sampled_from([*ROW, "parcel", "x"]),
    st.sampled_from(
        [
            [1.5, None],
            [True, False],
            ["a", SECRET * 3],
            [b"\xff", b""],
            [[1], [2]],
            [{"a": 1}, None],
            [None, None],
            [2**62, -1],
        ]
    ),
    min_size=1,
)
spoiled = st.one_of(
    _arbitrary,
    st.builds(_cut, _plainly_valid, st.integers(0, 5000)),
    st.builds(_flipped, _plainly_valid, st.lists(st.integers(0, 5000), min_size=1, max_size=4), st.integers(1, 255)),
    st.builds(_misplaced, _plainly_valid, _paths, _kinds),
    st.builds(_foreign_table, _columns, st.sampled_from([ARROW, PARQUET])),
)
noise = st.binary(min_size=1, max_size=200) | st.builds(
    lambda method, path, lines: b"\r\n".join([method + b" " + path + b" HTTP/1.1", *lines, b"", b""]),
    st.sampled_from([b"POST", b"GET", b"BREW"]),
    st.binary(max_size=20).map(lambda text: b"/" + text),
    st.lists(
        st.binary(max_size=30) | st.sampled_from([b"transfer-encoding: chunked", b"content-length: -1"]), max_size=3
    ),
)
"""Bytes that are no request of HTTP, or hardly one."""
