"""A Parquet file says the same of its columns as to Arrow, and whatever is broken in it ends no process."""

import io
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.serving import footer
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
    assert [b".".join(chunk.path).decode() for chunk in found] == [column.path_in_schema for column in theirs]
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
    with pytest.raises(ValueError, match="a footer of more than"):
        list(column_chunks(written(TABLE)))
