"""The canonical frame: the one form of a table that training, checks and serving see.

integer, number and boolean are float64 with NaN, a category is a pandas `category` of texts in alphabetical order,
datetime is datetime64[us] in UTC without a zone, text is `str`. Null is NaN or NaT, whatever stands beside it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from evergreen.data.parse import EXACT, TextRules, read_values
from evergreen.data.paths import filesystem_of, is_local
from evergreen.errors import DataError, IntegrityError, UnavailableError
from evergreen.spec.columns import ColumnType

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_NUMERIC = ("integer", "number", "boolean")


def canonical_frame(
    frame: "pd.DataFrame", types: Mapping[str, ColumnType], rules: TextRules | None = None
) -> "pd.DataFrame":
    """Any frame with these columns, canonical; columns in the order of `types`, the index kept.

    `rules` say what its texts mean; left out, they are written as most are. A value that cannot be read as its type
    is null. Raises DataError when a column is missing.

    >>> import pandas as pd
    >>> raw = pd.DataFrame({"plan": [None, 3], "price": ["1.5", " "]})
    >>> canonical_frame(raw, {"plan": "category", "price": "number"}).dtypes.astype(str).to_dict()
    {'plan': 'category', 'price': 'float64'}
    """
    import pandas as pd

    missing = [name for name in types if name not in frame.columns]
    if missing:
        raise DataError(f"the table has no column {missing[0]!r}; it has: {', '.join(map(str, frame.columns))}")
    rules = rules or TextRules()
    given = {name: frame[name] for name in types}
    columns = {name: _canonical(given[name], kind, rules) for name, kind in types.items()}
    if all(columns[name] is given[name] for name in types):
        # Putting columns together again costs as much as looking at them, which shows where rows come one by one.
        return frame[list(types)]
    return pd.DataFrame(columns, index=frame.index, copy=False)


def read_snapshot(path: str, columns: Sequence[str] | None = None, rows: "np.ndarray | None" = None) -> "pd.DataFrame":
    """A snapshot as a canonical frame: these columns (all when None), these rows by position (all when None).

    Categories are those of the whole file, whatever rows are chosen. The index counts from 0. An integer column of a
    file that holds numbers beyond 2**53 is `Int64`: they name things, and as float64 two of them could be one.
    """
    import pandas as pd
    import pyarrow as pa

    with open_snapshot(path) as file:
        types = _types_of(file, path)
        names = list(types if columns is None else columns)
        unknown = [name for name in names if name not in types]
        if unknown:
            raise DataError(f"{path}: the snapshot has no column {unknown[0]!r}; it has: {', '.join(types)}")
        positions = None if rows is None else pa.array(rows, pa.int64())
        # Column by column, so that never more than one is held twice.
        read = {name: _read_column(file, name, types[name], positions) for name in names}
    return pd.DataFrame(read, copy=False)


def snapshot_types(path: str) -> dict[str, ColumnType]:
    """The column types that a snapshot was taken with. Raises IntegrityError for a file that is no snapshot."""
    with open_snapshot(path) as file:
        return _types_of(file, path)


@contextmanager
def open_snapshot(path: str) -> Iterator[Any]:
    """A snapshot's Parquet file, open for reading. Raises IntegrityError where it is gone or broken."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    filesystem, inside = filesystem_of(path)
    try:
        # Arrow reads local files itself, and faster without its buffer, which is meant for object stores.
        opened = inside if is_local(path) else filesystem.open(inside, "rb")
        with pq.ParquetFile(opened, pre_buffer=not is_local(path)) as file:
            yield file
    except FileNotFoundError:
        raise IntegrityError(f"{path}: the snapshot is gone; run the model again to take a new one") from None
    except pa.ArrowInvalid as error:
        raise IntegrityError(f"{path}: is no whole Parquet file ({error})") from error
    except OSError as error:
        # Arrow reports broken pages as operating system errors, but without a number.
        kind = UnavailableError if error.errno else IntegrityError
        raise kind(f"{path}: cannot be read ({error})") from error


def _types_of(file: Any, path: str) -> dict[str, ColumnType]:
    metadata = file.metadata.metadata or {}
    if b"evergreen.types" not in metadata:
        raise IntegrityError(f"{path}: is a Parquet file, but no snapshot that Evergreen wrote")
    types: dict[str, ColumnType] = json.loads(metadata[b"evergreen.types"])
    return types


def _read_column(file: Any, name: str, kind: ColumnType, positions: Any) -> "pd.Series":
    import pandas as pd
    import pyarrow as pa

    values = file.read([name]).column(0)
    exact = kind == "integer" and beyond_float(values)
    if kind == "category":
        values = _sorted_codes(values.unify_dictionaries())
    if positions is not None:
        values = values.take(positions)
    if exact:
        return values.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    if kind in _NUMERIC:
        values = values.cast(pa.float64(), safe=False)
    return _of_texts(values.to_pandas(), kind)


def beyond_float(integers: Any) -> bool:
    """True where an Arrow column of integers holds one that float64 cannot tell from its neighbours."""
    import pyarrow.compute as pc

    ends = pc.min_max(integers).as_py()
    return any(abs(end) >= EXACT for end in ends.values() if end is not None)


def _canonical(column: "pd.Series", kind: ColumnType, rules: TextRules) -> Any:
    if kind in _NUMERIC and _is_clean_number(column, kind):
        return column
    if kind == "category" and _is_clean_category(column, rules):
        return column
    if kind == "datetime" and str(column.dtype) == "datetime64[us]":
        return column
    return _to_series(_read(column, kind, rules), kind, column)


def _is_clean_number(column: "pd.Series", kind: ColumnType) -> bool:
    import numpy as np

    if column.dtype != np.float64:
        return False
    values = column.to_numpy()
    if np.isinf(values).any():
        return False
    known = values if kind == "number" else values[~np.isnan(values)]
    return kind == "number" or bool(((known == np.floor(known)) if kind == "integer" else np.isin(known, (0, 1))).all())


def _is_clean_category(column: "pd.Series", rules: TextRules) -> bool:
    import pandas as pd

    if not isinstance(column.dtype, pd.CategoricalDtype):
        return False
    if column.dtype.categories.dtype != "str" or column.dtype.ordered:
        return False
    # As a list: an index would build its engine anew for each of these questions, ten times the time of one row.
    texts, nulls = column.dtype.categories.tolist(), {null.strip() for null in rules.nulls}
    return all(text and text == text.strip() and text not in nulls for text in texts) and texts == sorted(texts)


def _read(column: "pd.Series", kind: ColumnType, rules: TextRules) -> Any:
    import pyarrow as pa

    array = _to_arrow(column, rules.decimal if kind in _NUMERIC else None)
    try:
        return read_values(array, kind, rules).values
    except pa.ArrowException as error:
        raise DataError(f"column {column.name!r} ({array.type}) cannot be read as {kind}: {error}") from error


def _to_arrow(column: "pd.Series", decimal: str | None) -> Any:
    """A column as Arrow; one of mixed Python objects, as requests bring them, as text.

    With `decimal` the numbers among the objects are written as the texts beside them are.
    """
    import pyarrow as pa

    try:
        array = pa.Array.from_pandas(column)
    except (pa.ArrowException, TypeError, OverflowError):
        array = pa.array([_text(value, decimal) for value in column], pa.string())
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _text(value: Any, decimal: str | None) -> str | None:
    import pandas as pd

    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if decimal is None or isinstance(value, str):
        return str(value)
    return str(int(value)) if isinstance(value, bool) else str(value).replace(".", decimal)


def _to_series(values: Any, kind: ColumnType, like: "pd.Series") -> Any:
    import pyarrow as pa

    if kind in _NUMERIC:
        values = values.cast(pa.float64(), safe=False)
    if kind == "category":
        values = _sorted_codes(values.dictionary_encode())
    return _of_texts(values.to_pandas(), kind).set_axis(like.index)


def _of_texts(series: "pd.Series", kind: ColumnType) -> "pd.Series":
    """The series, with texts as `str` also where there is none that would tell pandas so."""
    if kind == "category" and series.cat.categories.dtype != "str":
        return series.cat.set_categories(series.cat.categories.astype("str"))
    return series.astype("str") if kind == "text" and series.dtype != "str" else series


def _sorted_codes(column: Any) -> Any:
    """A dictionary column with its categories in alphabetical order; any other column as it is."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(column.type):
        return column
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    if not chunks:
        return column
    order = pc.sort_indices(chunks[0].dictionary)
    rank = np.empty(len(order), dtype=np.int32)
    rank[order.to_numpy()] = np.arange(len(order), dtype=np.int32)
    categories, ranks = chunks[0].dictionary.take(order), pa.array(rank)
    coded = [pa.DictionaryArray.from_arrays(ranks.take(chunk.indices), categories) for chunk in chunks]
    return pa.chunked_array(coded) if isinstance(column, pa.ChunkedArray) else coded[0]
