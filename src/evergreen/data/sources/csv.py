"""CSV files: plain, .gz or .zip, streamed with Arrow's reader."""

import csv
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from evergreen.data.parse import EXACT, FALSE_TEXTS, TRUE_TEXTS
from evergreen.data.paths import filesystem_of, locate, require_file
from evergreen.data.sources.stream import Request, Stream, require_columns
from evergreen.errors import DataError
from evergreen.spec.columns import ColumnType
from evergreen.spec.data import CsvSource, HttpSource

_SAMPLE = 1 << 18
_BLOCK = 4 << 20
_SEPARATORS = ",;\t|"
_CONVERSION = re.compile(r"In CSV column #(\d+): .*CSV conversion error to (?!string)", re.DOTALL)

# What reading a damaged file raises, packed or not.
BROKEN = (EOFError, OSError, zlib.error, zipfile.BadZipFile)

Opener = Callable[[], BinaryIO]
Typed = Mapping[str, ColumnType]


@dataclass(frozen=True)
class _Layout:
    """What a file's first lines tell; `blank_lines` stand above the header."""

    separator: str
    header: tuple[str, ...]
    blank_lines: int


@contextmanager
def open_stream(source: CsvSource, request: Request) -> Iterator[Stream]:
    """Stream a CSV file at any fsspec path."""
    path = require_file(locate(source.path), source.path)
    yield open_text(source, lambda: _open(path, source.path), source.path, request)


def open_text(source: CsvSource | HttpSource, opener: Opener, where: str, request: Request) -> Stream:
    """Stream what `opener` opens; `where` names it in messages."""
    layout = _layout(source, opener, where)
    require_columns(layout.header, request, where)
    return Stream(where, _batches(source, opener, layout, where, request))


def find_separator(lines: Sequence[str]) -> str:
    """The separator that cuts the first lines into the most columns of which every line has as many.

    >>> find_separator(['a;b;c', '"1;5";2;3', '4;5,5;6'])
    ';'
    """

    def score(separator: str) -> tuple[float, int]:
        widths = [len(row) for row in csv.reader(lines, delimiter=separator) if row]
        alike = sum(width == widths[0] for width in widths) / len(widths)
        return (alike if widths[0] > 1 else 0.0, widths[0])

    return max(_SEPARATORS, key=score)


def _layout(source: CsvSource | HttpSource, opener: Opener, where: str) -> _Layout:
    try:
        with opener() as file:
            raw = file.read(_SAMPLE)
    except BROKEN as error:
        raise DataError(f"{where}: cannot be read ({error})") from error
    text = list(io.StringIO(_decode(raw, source.encoding, where), newline=""))
    lines = [line for line in text if line.strip()]
    if not lines:
        raise DataError(f"{where}: the file is empty; it needs a header line and rows")
    blank_lines = text.index(lines[0])
    if len(raw) == _SAMPLE and len(lines) > 1:
        lines.pop()  # cut in the middle
    separator = source.separator or find_separator(lines[:50])
    header = tuple(name.strip() for name in next(csv.reader(lines, delimiter=separator)))
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise DataError(f"{where}: the column {twice!r} stands twice in the header; give each column its own name")
    return _Layout(separator, header, blank_lines)


def _decode(raw: bytes, encoding: str, where: str) -> str:
    try:
        # A character may be cut at the end of the sample, so that only errors before it count.
        text = raw.decode("utf-8-sig" if _is_utf8(encoding) else encoding, errors="strict")
    except UnicodeDecodeError as error:
        if error.start < len(raw) - 4:
            raise _not_encoded(where, encoding) from error
        text = raw[: error.start].decode("utf-8-sig" if _is_utf8(encoding) else encoding)
    except LookupError as error:
        raise DataError(f"{where}: unknown encoding {encoding!r}; use utf-8, utf-16, latin-1 or cp1252") from error
    return text


def _is_utf8(encoding: str) -> bool:
    return encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig")


def _not_encoded(where: str, encoding: str) -> DataError:
    return DataError(f"{where}: is not {encoding} text; set data.source.encoding, such as latin-1, cp1252 or utf-16")


def _batches(
    source: CsvSource | HttpSource, opener: Opener, layout: _Layout, where: str, request: Request
) -> Iterator[Any]:
    """Numbers are read as numbers while that works, and from the first value on that is none as text."""
    import pyarrow as pa

    typed: Typed = {name: kind for name, kind in request.types.items() if kind in ("integer", "number", "boolean")}
    done = 0
    while True:
        try:
            with opener() as file:
                # Rows are counted and not lines, of which blank ones hold no row and quoted breaks make several.
                for batch in _without_first(done, _open_csv(source, file, layout, typed, request)):
                    if not _exact(batch, typed):
                        raise _InexactError
                    done += batch.num_rows
                    yield batch
            break
        except _InexactError:
            typed = {name: kind for name, kind in typed.items() if kind != "integer"}
        except pa.ArrowInvalid as error:
            typed = _less_typed(typed, layout.header, error, where, source.encoding)
        except UnicodeDecodeError as error:
            raise _not_encoded(where, source.encoding) from error
        except BROKEN as error:
            raise DataError(f"{where}: cannot be read to its end ({error})") from error
    if not done:
        raise DataError(f"{where}: has a header but no rows")


def _without_first(rows: int, batches: Iterable[Any]) -> Iterator[Any]:
    for batch in batches:
        rest = batch.slice(min(rows, batch.num_rows))
        rows -= batch.num_rows - rest.num_rows
        if rest.num_rows:
            yield rest


class _InexactError(Exception):
    """An integer is too large for the float64 it was read into."""


def _exact(batch: Any, typed: Typed) -> bool:
    import pyarrow.compute as pc

    integers = [batch.column(name) for name, kind in typed.items() if kind == "integer"]
    return all(pc.all(pc.less(pc.abs(values), EXACT)).as_py() is not False for values in integers)


def _less_typed(typed: Typed, header: tuple[str, ...], error: Exception, where: str, encoding: str) -> Typed:
    found = _CONVERSION.match(str(error))
    if found and header[int(found[1])] in typed:
        return {name: kind for name, kind in typed.items() if name != header[int(found[1])]}
    if "UTF8" in str(error):
        raise _not_encoded(where, encoding) from error
    raise DataError(f"{where}: {error}; correct the line, or set data.source.separator") from error


def _open_csv(
    source: CsvSource | HttpSource,
    file: BinaryIO,
    layout: _Layout,
    typed: Typed,
    request: Request,
) -> Any:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    kinds: dict[ColumnType, Any] = {"integer": pa.float64(), "number": pa.float64(), "boolean": pa.bool_()}
    types = {name: kinds[typed[name]] if name in typed else pa.string() for name in request.columns}
    return arrow_csv.open_csv(
        file,
        read_options=arrow_csv.ReadOptions(
            column_names=list(layout.header),
            skip_rows=layout.blank_lines,
            skip_rows_after_names=1,
            block_size=_BLOCK,
            use_threads=False,  # several batches in flight would cost more memory than they save time
            encoding="utf8" if _is_utf8(source.encoding) else source.encoding,
        ),
        parse_options=arrow_csv.ParseOptions(delimiter=layout.separator, newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            column_types=types,
            include_columns=request.columns,
            null_values=list({"", *source.null_values}),
            strings_can_be_null=True,
            true_values=_cased(TRUE_TEXTS),
            false_values=_cased(FALSE_TEXTS),
            decimal_point=source.decimal,
        ),
    )


def _cased(texts: Sequence[str]) -> list[str]:
    return sorted({form for text in texts for form in (text, text.upper(), text.capitalize())})


def _open(path: str, given: str) -> BinaryIO:
    filesystem, inside = filesystem_of(path)
    try:
        return unpacked(filesystem.open(inside, "rb"), given)
    except (IsADirectoryError, PermissionError) as error:
        raise DataError(f"{given}: is no readable file ({error.strerror}); name a CSV file") from error


def unpacked(file: BinaryIO, where: str) -> BinaryIO:
    """The text inside a file that may be a .gz, or a .zip with one file in it, told by its first bytes."""
    import gzip

    magic = file.read(4)
    file.seek(0)
    if magic[:2] == b"\x1f\x8b":
        return gzip.open(file)  # type: ignore[return-value]
    if magic[:2] != b"PK":
        return file
    try:
        archive = zipfile.ZipFile(file)
        return archive.open(_only_member(archive, where))  # type: ignore[return-value]
    except zipfile.BadZipFile as error:
        raise DataError(f"{where}: is a broken .zip file ({error})") from error
    except RuntimeError as error:
        # A password, or a way of packing that Python does not know.
        raise DataError(f"{where}: cannot be unpacked ({error}); unpack it, or pack it plainly") from error


def _only_member(archive: Any, where: str) -> str:
    names = [n for n in archive.namelist() if not n.endswith("/") and not n.startswith("__MACOSX")]
    if len(names) != 1:
        raise DataError(f"{where}: holds {len(names)} files ({', '.join(names[:5])}); pack one CSV file alone")
    return str(names[0])
