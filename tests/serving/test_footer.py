"""A Parquet file says the same of its columns as to Arrow, and whatever is broken in it ends no process."""

import io
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.serving import footer, unfold
from evergreen.serving.footer import ColumnChunk, column_chunks
from evergreen.serving.handles import Column
from evergreen.serving.reader import Rows, build_reader
from evergreen.serving.tables import decode_parquet

ROWS = 100
TABLE = pa.table(
    {
        "a": np.arange(ROWS) / 2,
        "ü": [f"text {place}" for place in range(ROWS)],
        "nothing": pa.array([None] * ROWS, pa.bool_()),
        "list": [[place, None] for place in range(ROWS)],
        "struct": [{"x": place, "y": "z"} for place in range(ROWS)],
    }
)
READER = build_reader((Column("a", "number"), Column("ü", "category")))
ENCODINGS = ("PLAIN", None, "PLAIN_DICTIONARY", "RLE", "BIT_PACKED", "DELTA_BINARY_PACKED", "DELTA_LENGTH_BYTE_ARRAY")
ENCODINGS += ("DELTA_BYTE_ARRAY", "RLE_DICTIONARY", "BYTE_STREAM_SPLIT")


def written(table, **how):
    sink = io.BytesIO()
    pq.write_table(table, sink, **how)
    return sink.getvalue()


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"row_group_size": 7, "compression": "zstd", "write_page_index": True},
        {"use_dictionary": False, "column_encoding": {"ü": "DELTA_BYTE_ARRAY", "a": "BYTE_STREAM_SPLIT"}},
        {"write_statistics": False, "version": "1.0"},
        {"store_schema": False, "sorting_columns": [pq.SortingColumn(0)]},
    ],
)
def test_columns_are_those_that_arrow_sees(how):
    body = written(TABLE.replace_schema_metadata({"note": "n" * 300}), **how)
    metadata = pq.ParquetFile(io.BytesIO(body)).metadata
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    theirs = [group.column(place) for group in groups for place in range(metadata.num_columns)]
    found = list(column_chunks(body))
    assert [chunk.size for chunk in found] == [column.total_uncompressed_size for column in theirs]
    named = [tuple(ENCODINGS[number] for number in chunk.encodings) for chunk in found]
    assert named == [column.encodings for column in theirs]


def test_a_file_with_one_byte_changed_is_read_or_refused():
    body = written(TABLE.select(["a", "ü"]).slice(0, 3))
    length = int.from_bytes(body[-8:-4], "little")
    for place in range(len(body) - 8 - length, len(body)):
        for byte in {0, 1, 2, 9, 19, 35, 64, 127, 255, body[place] ^ 1, body[place] ^ 16}:
            changed = bytearray(body)
            changed[place] = byte
            found = decode_parquet(READER, bytes(changed))
            assert isinstance(found, Rows) or found[0].why


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=80))
def test_whatever_stands_for_a_footer_is_walked_through_or_refused(data):
    body = b"PAR1" + data + len(data).to_bytes(4, "little") + b"PAR1"
    with suppress(ValueError):
        assert all(isinstance(chunk, ColumnChunk) for chunk in column_chunks(body))


DEEP = b"\x1c" * 40
LONG = b"\x19\xf5" + b"\xff" * 11
MANY = b"\x19\xfc\xff\xff\xff\xff\x0f"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "ends too soon"),
        (DEEP, "nested too deeply"),
        (LONG, "more than 64 bits"),
        (MANY, "ends too soon"),
        (b"\x1e", "no known type"),
        (b"\x49\x18", "a list of another type"),
        (b"\x09\x88\x80\x08", "more than 16 bits"),
        (b"\x01\xfe\xff\x03\x11", "too high a number"),
        (b"\x09\x01\x00", "too high a number"),
    ],
)
def test_what_is_no_footer_is_told_why(data, why):
    body = b"PAR1" + data + len(data).to_bytes(4, "little") + b"PAR1"
    with pytest.raises(ValueError, match=why):
        list(column_chunks(body))


@pytest.mark.parametrize("body", [b"", b"PAR1", b"PAR1PAR1", b"PAR1\xff\xff\xff\xffPAR1", b"x" * 40])
def test_what_is_no_file_is_refused(body):
    with pytest.raises(ValueError, match="no Parquet file"):
        list(column_chunks(body))


def test_a_footer_that_would_take_long_is_not_walked_through(monkeypatch):
    monkeypatch.setattr(footer, "MOST_BYTES", 100)
    body = written(TABLE.select(["a", "ü"]))
    with pytest.raises(footer.LongFooter):
        list(column_chunks(body))
    (problem,) = decode_parquet(READER, body)
    assert (problem.rule, problem.why) == ("body", "has a footer of more than 1 MB; write larger row groups")


@pytest.mark.parametrize("how", [{}, {"use_dictionary": False, "column_encoding": {"ü": "DELTA_BYTE_ARRAY"}}])
def test_a_footer_is_not_believed_where_arrow_reads_another(how, monkeypatch):
    body = written(TABLE.select(["a", "ü"]), **how)
    chunks = list(column_chunks(body))
    monkeypatch.setattr(unfold, "column_chunks", lambda body: iter(chunks[:1]))
    (problem,) = decode_parquet(READER, body)
    assert (problem.rule, problem.why) == ("body", "is no whole Parquet file (ValueError)")


def test_a_number_that_others_would_cut_short_is_refused():
    body = written(TABLE.select(["a", "ü"]), use_dictionary=False, column_encoding={"ü": "DELTA_BYTE_ARRAY"})
    assert decode_parquet(READER, body)[0].rule == "rows"
    # The encodings RLE and DELTA_BYTE_ARRAY: 7, and 7 beyond 32 bits, which Arrow takes for the same.
    short, long = b"\x25\x06\x0e", b"\x25\x06\x8e\x80\x80\x80\x20"
    assert body.count(short) == 1
    length = int.from_bytes(body[-8:-4], "little") + len(long) - len(short)
    changed = body.replace(short, long)[:-8] + length.to_bytes(4, "little") + b"PAR1"
    column = pq.ParquetFile(io.BytesIO(changed)).metadata.row_group(0).column(1)
    assert "DELTA_BYTE_ARRAY" in column.encodings
    assert decode_parquet(READER, changed)[0].why == "is no whole Parquet file (ValueError)"
