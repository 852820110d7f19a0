import gzip
import io
import zipfile

import pandas as pd
import pytest

from evergreen.data.frame import read_snapshot
from evergreen.data.sources import csv as csv_source
from evergreen.errors import DataError

TYPES = {"x": "number", "c": "category", "y": "category"}


def zipped(**files: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


MANY = b"x,c,y\n" + b"".join(b"%d,a,p\n" % (i * i % 7919) for i in range(90_000))


def damaged(content: bytes, at: int) -> bytes:
    broken = bytearray(content)
    broken[at] ^= 0xFF
    return bytes(broken)


def locked(content: bytes) -> bytes:
    """The archive with the flag that says that a password is needed."""
    archive = bytearray(content)
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        archive[archive.index(magic) + offset] |= 1
    return bytes(archive)


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ("x,c,y\n1.5,a,p\n,b,q\n", {}),
        ('"x";"c";"y"\n1.5;"a";"p"\n"";"b";"q"\n', {}),
        ("x\tc\ty\n1.5\ta\tp\n\tb\tq\n", {}),
        ("x|c|y\n1.5|a|p\nNA|b|q\n", {}),
        ("x;c;y\n1,5;a;p\n;b;q\n", {"decimal": ","}),
        ("x , c,y\n 1.5 , a,p\n  ,b ,q\n", {}),
        ("x,c,y\r\n1.5,a,p\r\n\r\n,b,q\r\n", {}),
        ("\n\nx,c,y\n1.5,a,p\n,b,q\n", {}),
        (" \r\n\r\nx,c,y\r\n\r\n1.5,a,p\r\n,b,q\r\n\r\n", {}),
        ("\nx,c,y\n1.5,a,p\n\n,b,q\n".encode("utf-16"), {"encoding": "utf-16"}),
        ("y,other,c,x\np,1,a,1.5\nq,2,b,\n", {}),
        ("\ufeffx,c,y\n1.5,a,p\n,b,q\n", {}),
        ("x#c#y\n1.5#a#p\n#b#q\n", {"separator": "#"}),
        ("x,c,y\n1.5,a,p\n?,b,q\n", {"null_values": ["?"]}),
        ("x,c,y\n1.5,a,p\n,b,q\n".encode("utf-16"), {"encoding": "utf-16"}),
        (gzip.compress(b"x,c,y\n1.5,a,p\n,b,q\n", mtime=0), {}),
        (zipped(**{"t.csv": "x,c,y\n1.5,a,p\n,b,q\n"}), {}),
    ],
)
def test_ugly_files_hold_the_same_table(write, take, content, options):
    snapshot = take({"kind": "csv", "path": write(content), **options}, TYPES)
    frame = read_snapshot(snapshot.path)
    assert snapshot.faults == ()
    assert frame["x"].tolist()[0] == 1.5
    assert frame["x"].isna().tolist() == [False, True]
    assert frame[["c", "y"]].astype(object).to_numpy().tolist() == [["a", "p"], ["b", "q"]]


def test_a_real_export_in_all_its_ugliness(write, take):
    content = (
        '"id";"amount";"paid";"when";"note";"y"\n'
        '1;"1.234,50";Yes;2025-01-31 10:00:00;"two\nlines; and ""quotes""";p\n'
        '2;" ";no;31.01.2025;;q\n'
        '3;7;"";2025-01-31T10:00:00+02:00;"ü";p\n'
    )
    types = {
        "amount": "number",
        "paid": "boolean",
        "when": "datetime",
        "note": "text",
        "y": "category",
        "id": "integer",
    }
    snapshot = take(
        {"kind": "csv", "path": write(content.encode("cp1252")), "encoding": "cp1252", "decimal": ","}, types
    )
    frame = read_snapshot(snapshot.path)
    assert snapshot.faults == ()
    assert frame["amount"].fillna(-1).tolist() == [1234.5, -1, 7]
    assert frame["paid"].fillna(-1).tolist() == [1, 0, -1]
    assert frame["when"].tolist() == [pd.Timestamp(2025, 1, 31, h) for h in (10, 0, 8)]
    assert frame["note"].fillna("-").tolist() == ['two\nlines; and "quotes"', "-", "ü"]


def test_a_number_turning_to_text_late_in_a_long_file_loses_no_row(write, take, monkeypatch):
    monkeypatch.setattr(csv_source, "_BLOCK", 4096)
    rows = [f"{i},{i}.0,{i % 2},p" for i in range(5000)]
    rows[3000] = "oops,3000.5,1,p"
    rows[4000] = '"4,000",4000.0,yes,p'
    types = {"x": "number", "i": "integer", "b": "boolean", "y": "category"}
    snapshot = take({"kind": "csv", "path": write("x,i,b,y\n" + "\n".join(rows))}, types)
    frame = read_snapshot(snapshot.path)
    assert [(f.column, f.count, f.examples) for f in snapshot.faults] == [
        ("i", 1, ("row 3001: 3000.5",)),
        ("x", 1, ("row 3001: 'oops'",)),
    ]
    expected = pd.Series(range(5000), dtype="float64", name="x")
    assert frame["x"].drop(3000).tolist() == expected.drop(3000).tolist()
    assert frame["b"].tolist() == [i % 2 if i != 4000 else 1 for i in range(5000)][:3000] + [1] + [
        i % 2 if i != 4000 else 1 for i in range(3001, 5000)
    ]


def test_blank_lines_and_line_breaks_in_values_repeat_no_row_of_a_file_that_is_begun_again(write, take, monkeypatch):
    monkeypatch.setattr(csv_source, "_BLOCK", 4096)
    rows = [f'{i},"two\n\nlines",p' if i % 50 == 0 else f"{i},a,p" for i in range(3000)]
    rows[10] += "\n\n\n"
    rows[2500] = "abc,a,p"
    snapshot = take({"kind": "csv", "path": write("\nx,c,y\n\n" + "\n".join(rows))}, TYPES)
    assert [fault.examples for fault in snapshot.faults] == [("row 2501: 'abc'",)]
    expected = [i if i != 2500 else -1 for i in range(3000)]
    assert read_snapshot(snapshot.path)["x"].fillna(-1).tolist() == expected


def test_integers_beyond_a_float_keep_their_digits(write, take):
    import pyarrow.parquet as pq

    snapshot = take(
        {"kind": "csv", "path": write("k,y\n9007199254740993,p\n1.0,p\n")}, {"k": "integer", "y": "category"}
    )
    assert pq.read_table(snapshot.path)["k"].to_pylist() == [9007199254740993, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("\n\n", "the file is empty"),
        ("x,c,y\n", "a header but no rows"),
        ("x,c,c,y\n1,a,b,p\n", "column 'c' stands twice"),
        ("x,c,y\n1,a,p\n1,a,p,q\n", "Expected 3 columns, got 4"),
        ("X,c,y\n1,a,p\n", "has no column 'x'; did you mean 'X'"),
        ("amount,kind,label\n1,a,p\n", "has no column 'x'; it has: amount, kind, label"),
        ("x,c,y\n1,ä,p\n".encode("latin-1"), "is not utf-8 text; set data.source.encoding"),
        (b"x,c,y\n" + b"1,a,p\n" * 90_000 + "1,ä,p\n".encode("latin-1"), "is not utf-8 text"),
        (gzip.compress(b"x,c,y\n" + b"1,a,p\n" * 9000, mtime=0)[:60], "cannot be read"),
        (b"PK\x03\x04broken", r"broken \.zip"),
        (damaged(gzip.compress(MANY, 1, mtime=0), 30), "cannot be read"),
        (damaged(gzip.compress(MANY, 1, mtime=0), -3000), "cannot be read to its end"),
        (damaged(zipped(**{"t.csv": MANY.decode()}), -1000), "cannot be read to its end"),
        (damaged(zipped(**{"t.csv": "x,c,y\n1,a,p\n"}), 40), "cannot be read"),
        (locked(zipped(**{"t.csv": "x,c,y\n1,a,p\n"})), "cannot be unpacked .*password"),
        (zipped(**{"a.csv": "x", "b.csv": "x"}), "holds 2 files"),
    ],
)
def test_a_file_that_is_no_table_says_what_to_do(write, take, content, message):
    path = write(content)
    with pytest.raises(DataError, match=message) as error:
        take({"kind": "csv", "path": path}, TYPES)
    assert path in str(error.value)


def test_a_missing_file_is_named(tmp_path, take):
    with pytest.raises(DataError, match=r"no/such\.csv: there is no such file"):
        take({"kind": "csv", "path": "no/such.csv"}, TYPES)
    with pytest.raises(DataError, match="no readable file"):
        take({"kind": "csv", "path": str(tmp_path)}, TYPES)


def test_relative_paths_start_at_the_working_directory(write, take, tmp_path, monkeypatch):
    write("x,c,y\n1,a,p\n")
    monkeypatch.chdir(tmp_path)
    assert take({"kind": "csv", "path": "table.csv"}, TYPES).rows == 1


def test_every_missing_column_is_named_with_the_nearest(write, take):
    with pytest.raises(DataError, match=r"'price'; did you mean 'prices'(?s:.)*'plan'; did you mean 'Plan'"):
        take(
            {"kind": "csv", "path": write("prices,Plan,y\n1,a,p\n")},
            {"price": "number", "plan": "category", "y": "category"},
        )


def test_a_file_of_an_installed_package_needs_no_import(take):
    types = {"species": "category", "y": "integer"}
    source = {"kind": "csv", "path": "package://palmerpenguins/data/penguins.csv"}
    assert take(source, {"species": "category", "year": "integer"}, target="species").rows == 344
    with pytest.raises(DataError, match="pip install no_such_package"):
        take({"kind": "csv", "path": "package://no_such_package/x.csv"}, types)
    with pytest.raises(DataError, match="there is no such file"):
        take({"kind": "csv", "path": "package://palmerpenguins/data/puffins.csv"}, types)
