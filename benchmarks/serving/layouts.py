"""How groups of predictions may be laid out in a store: what writing, reading and keeping them costs.

    python benchmarks/serving/layouts.py write      a group of rows into SQLite, laid out in several ways
    python benchmarks/serving/layouts.py read       1,000,000 rows x 30 columns back into Arrow

CPU is of this process with its threads. PostgreSQL, where EVERGREEN_STORE_URL names one, has its own besides.
"""

import sqlite3
import sys
import tempfile
import zlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import msgspec
import pyarrow as pa

from benchmarks.serving.predictions import START, cpu, make, store
from evergreen.store.prediction import Prediction
from evergreen.store.traffic import Traffic
from evergreen.store.traffic_group import pack, split
from evergreen.store.traffic_writer import TrafficWriter


class Rows:
    """One row a prediction, inputs as JSON: what most servers do."""

    def __init__(self, file: Path) -> None:
        self.connection = sqlite3.connect(file, isolation_level=None)
        self.connection.executescript(
            "PRAGMA journal_mode = WAL;"
            "CREATE TABLE p (n INTEGER PRIMARY KEY, id TEXT, request TEXT, model TEXT, version INT, role TEXT, at INT,"
            " inputs TEXT, prediction TEXT, probabilities TEXT, row_id TEXT, latency_ms REAL, explored INT);"
            "CREATE INDEX by_id ON p (id); CREATE INDEX by_row ON p (model, row_id);"
            "CREATE INDEX by_at ON p (model, at)"
        )
        self.encode = msgspec.json.Encoder().encode

    def write(self, rows: Sequence[Prediction], _now: datetime) -> None:
        encode = self.encode
        values = [
            (
                p.id,
                p.request,
                p.model,
                p.version,
                p.role.value,
                int(p.at.timestamp() * 1e6),
                encode(p.inputs),
                p.prediction,
                encode(p.probabilities),
                p.row_id,
                p.latency_ms,
                p.explored,
            )
            for p in rows
        ]
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.executemany(f"INSERT INTO p VALUES (NULL{',?' * 12})", values)
        self.connection.execute("COMMIT")

    def read(self) -> int:
        decode, read = msgspec.json.Decoder(dict[str, float | str | None]).decode, 0
        cursor = self.connection.execute("SELECT id, at, prediction, probabilities, inputs FROM p ORDER BY at")
        while found := cursor.fetchmany(50_000):
            rows = [decode(each[4]) for each in found]
            read += pa.table({name: pa.array([row[name] for row in rows]) for name in rows[0]}).num_rows
        return read


def write_layouts(rows: int = 20_000) -> None:
    predictions = make(rows)
    print("| rows a group | layout | CPU µs a prediction | bytes a prediction |\n| --- | --- | --- | --- |")
    for size in (1, 16, 64, 1000):
        some = predictions[: min(rows, size * 3000)]
        groups = [some[start : start + size] for start in range(0, len(some), size)]
        for name, build in (("one row each", _rows_layout), ("groups and an index", _group_layout)):
            with tempfile.TemporaryDirectory() as folder:
                spent, size_bytes = build(folder, groups)
            print(f"| {size} | {name} | {spent / len(some) * 1e6:.1f} | {size_bytes / len(some):.0f} |")
        for name, encode in ENCODINGS.items():
            packed = [next(split(group)) for group in groups[:200]]
            count = sum(len(group.at) for group in packed)
            total = sum(len(encode(group)) for group in packed)
            spent = cpu(lambda e=encode, p=packed: [e(group) for group in p])
            print(f"| {size} | only the content: {name} | {spent / count * 1e6:.1f} | {total / count:.0f} |")


def _rows_layout(folder: str, groups: list[list[Prediction]]) -> tuple[float, int]:
    file = Path(folder) / "rows.db"
    layout = Rows(file)
    spent = cpu(lambda: [layout.write(group, START) for group in groups])
    layout.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    layout.connection.close()
    return spent, file.stat().st_size


def _group_layout(folder: str, groups: list[list[Prediction]]) -> tuple[float, int]:
    with TrafficWriter(store(folder)) as writer:
        writer.write(make(1, 10**7), START)
        spent = cpu(lambda: [writer.write(group, START) for group in groups])
    file = Path(folder) / "evergreen.db"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return spent, file.stat().st_size if file.exists() else 0


def _json(group: object) -> bytes:
    content = pack(group)  # type: ignore[arg-type]
    return content if content[:1] == b"{" else zlib.decompress(content)


def _arrow(group: object) -> bytes:
    rows = group.predictions  # type: ignore[attr-defined]
    columns = {name: pa.array([p.inputs[name] for p in rows]) for name in rows[0].inputs}
    columns |= {"_id": pa.array([p.id for p in rows]), "_request": pa.array([p.request for p in rows])}
    columns |= {"_row": pa.array([p.row_id for p in rows]), "_at": pa.array([p.at for p in rows])}
    columns |= {"_said": pa.array([p.prediction for p in rows]), "_took": pa.array([p.latency_ms for p in rows])}
    columns |= {f"_p_{c}": pa.array([p.probabilities[c] for p in rows]) for c in ("no", "yes")}
    table, sink = pa.table(columns), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


ENCODINGS: dict[str, Callable[[object], bytes]] = {
    "JSON, zlib as stored": pack,  # type: ignore[dict-item]
    "JSON": _json,
    "JSON, zstd": lambda group: pa.compress(_json(group), "zstd", asbytes=True),
    "Arrow, zstd": _arrow,
}


def read_back(rows: int = 1_000_000, size: int = 100) -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = store(folder)
        model = make(20_000, columns=30, row_ids=False)
        with TrafficWriter(url) as writer:
            for start in range(0, rows, size):
                group = [_moved(model[(start + place) % len(model)], start + place) for place in range(size)]
                writer.write(group, START)
        traffic, found = Traffic(url), []
        end = START + timedelta(days=1)
        spent = cpu(lambda: found.append(sum(chunk.rows for chunk in traffic.chunks("churn", START, end))))
        few = [f"column_{i}" for i in range(5)]
        some = cpu(lambda: found.append(sum(c.rows for c in traffic.chunks("churn", START, end, columns=few))))
        print(
            f"groups of {size}: {found[0]:,} rows x 30 columns in {spent:.1f} s of CPU; 5 columns of them {some:.1f} s"
        )
        file = Path(folder) / "evergreen.db"
        if file.exists():
            print(f"{file.stat().st_size / 1e6:.0f} MB")
    with tempfile.TemporaryDirectory() as folder:
        layout = Rows(Path(folder) / "rows.db")
        for start in range(0, rows, 1000):
            layout.write([_moved(model[(start + place) % len(model)], start + place) for place in range(1000)], START)
        spent = cpu(lambda: found.append(layout.read()))
        size_mb = (Path(folder) / "rows.db").stat().st_size / 1e6
        print(f"one row each: {found[-1]:,} rows in {spent:.1f} s, {size_mb:.0f} MB")


def _moved(p: Prediction, place: int) -> Prediction:
    at = START + timedelta(milliseconds=place)
    return Prediction(
        f"{place:x}.0", f"{place:x}", p.model, p.version, p.role, at, p.inputs, p.prediction, p.probabilities
    )


if __name__ == "__main__":
    {"write": write_layouts, "read": read_back}[sys.argv[1]]()
