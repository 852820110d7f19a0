"""Read a stranger's table as its sources will: the same separators, encodings and texts for missing."""

import codecs
import csv
import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from evergreen.data.paths import filesystem_of, locate, require_file
from evergreen.data.sources import Request, open_source
from evergreen.data.sources.csv import BROKEN, find_separator, unpacked
from evergreen.errors import DataError
from evergreen.spec.data import CsvSource, ParquetSource

# Enough to know a table by; the rest of a larger file is read by its first run.
MOST_ROWS = 200_000
_MOST_BYTES = 64 << 20
_PARQUET = (".parquet", ".pq")
_NOW = datetime(9999, 1, 1)  # noqa: DTZ001 - files ask for no moment


@dataclass(frozen=True)
class RawTable:
    """The first rows of a file as an Arrow table; those of a CSV file are all texts."""

    source: CsvSource | ParquetSource
    table: Any
    complete: bool


def read_raw(path: Path) -> RawTable:
    """The table in a CSV or Parquet file. Raises DataError when it is none."""
    require_file(locate(str(path)), str(path))
    if path.suffix.lower() in _PARQUET or path.is_dir():
        return _read_parquet(path)
    return _read_csv(path)


def _read_parquet(path: Path) -> RawTable:
    from pyarrow import dataset

    source = ParquetSource(kind="parquet", path=str(path))
    try:
        names = dataset.dataset(locate(str(path)), format="parquet", partitioning="hive").schema.names
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: is no Parquet ({error})") from error
    return _read(source, names)


def _read_csv(path: Path) -> RawTable:
    raw = _first_bytes(path)
    encoding = find_encoding(raw, cut=len(raw) == _MOST_BYTES)
    lines = list(itertools.islice(_lines(raw.decode(encoding, errors="ignore").removeprefix("\ufeff")), 51))
    if not lines:
        raise DataError(f"{path}: the file is empty; it needs a header line and rows")
    separator = find_separator(lines[:50])
    names = [name.strip() for name in next(csv.reader(lines, delimiter=separator))]
    _require_header(path, names)
    written = None if separator == "," else separator
    source = CsvSource(kind="csv", path=str(path), separator=written, encoding=encoding)
    # Only blanks are missing for now, so that every text can be looked at.
    return _read(source.model_copy(update={"separator": separator, "null_values": ()}), names, source)


def find_encoding(raw: bytes, cut: bool = False) -> str:
    """The encoding of a text: by its mark, else UTF-8 where it is that, else Windows' Western one.

    `cut` says that the text goes on, so that its last character may be broken.

    >>> find_encoding("é".encode("cp1252")), find_encoding("é".encode())
    ('cp1252', 'utf-8')
    """
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(raw, final=not cut)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _first_bytes(path: Path) -> bytes:
    filesystem, inside = filesystem_of(locate(str(path)))
    try:
        with unpacked(filesystem.open(inside, "rb"), str(path)) as file:
            return file.read(_MOST_BYTES)
    except BROKEN as error:
        raise DataError(f"{path}: cannot be read ({error})") from error


def _lines(text: str) -> Iterator[str]:
    return (line for line in io.StringIO(text, newline="") if line.strip())


def _require_header(path: Path, names: list[str]) -> None:
    if all(name.replace(".", "", 1).replace("-", "", 1).isdigit() for name in names):
        raise DataError(f"{path}: the first line holds numbers; put a line with the column names above it")
    empty = [position for position, name in enumerate(names, 1) if not name]
    if empty:
        raise DataError(f"{path}: column {empty[0]} has no name; give it one in the first line")


def _read(
    source: CsvSource | ParquetSource, names: list[str], written: CsvSource | ParquetSource | None = None
) -> RawTable:
    import pyarrow as pa

    batches, rows = [], 0
    with open_source(source, Request(dict.fromkeys(names, "text"), _NOW)) as stream:
        for batch in stream.batches:
            batches.append(batch.select(names))
            rows += batch.num_rows
            if rows > MOST_ROWS:
                break
    if not rows:
        raise DataError(f"{source.path}: holds no rows")
    return RawTable(written or source, pa.Table.from_batches(batches).slice(0, MOST_ROWS), rows <= MOST_ROWS)
