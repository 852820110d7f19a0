"""Bodies of requests as rows: JSON in the forms that callers send. Whatever is sent, it never raises."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from evergreen.serving.handles import Problem
from evergreen.serving.ordered import named
from evergreen.serving.reader import COLUMNS, Reader, Rows

Answer = Rows | tuple[Problem, ...]

MOST_ROWS = 50_000

_SPLIT, _RECORDS, _INSTANCES = "dataframe_split", "dataframe_records", "instances"
# MLflow's clients send it empty.
_PARAMS = "params"
_OF_NAMES = ("extra", "missing")


class _NotFinite(NamedTuple):
    """What Python alone reads as JSON: there is a NaN or an infinity somewhere."""

    value: Any


def decode_records(reader: Reader, body: bytes, most_rows: int = MOST_ROWS) -> Answer:
    """`{"rows": [{…}, …]}`, `{"columns": {…: […], …}}`, or one bare object, which is one row; or what is wrong."""
    if rows := _fast(reader, body, "rows"):
        return rows
    value = _parse(body)
    if isinstance(value, _NotFinite):
        value = value.value
    if isinstance(value, Problem):
        return (value,)
    if not isinstance(value, dict):
        return (Problem("body", 'is no object; send one row as an object, or {"rows": [ … ]}'),)
    if isinstance(value.get(COLUMNS), dict):
        return _by_name(reader, value, most_rows)
    return _listed(reader, value, "rows") if isinstance(value.get("rows"), list) else reader.read_records([value], True)


def decode_single(reader: Reader, body: bytes) -> Rows | None:
    """One bare object, by the compiled check alone; None for anything else, right or wrong."""
    try:
        return reader.finish_one(reader.decoders[""].decode(body))
    except (msgspec.MsgspecError, RecursionError, ValueError, OverflowError):
        return None


def decode_invocation(reader: Reader, body: bytes, most_rows: int = MOST_ROWS) -> Answer:
    """The JSON that MLflow's scoring server takes: `dataframe_split`, `dataframe_records` or `instances`."""
    for key in (_RECORDS, _INSTANCES):
        if rows := _fast(reader, body, key):
            return rows
    if rows := _fast_split(reader, body, most_rows):
        return rows
    value = _parse(body)
    if isinstance(value, _NotFinite):
        reader, value = reader.exact(), value.value
    if isinstance(value, Problem):
        return (value,)
    found = [key for key in _FORMS if isinstance(value, dict) and key in value]
    if len(found) != 1:
        return (Problem("body", f"has to be an object with one of {', '.join(_FORMS)}"),)
    if value.get(_PARAMS):
        return (Problem("extra", "is not taken by this model", _PARAMS),)
    return _FORMS[found[0]](reader, {key: given for key, given in value.items() if key != _PARAMS}, most_rows)


def _fast(reader: Reader, body: bytes, key: str) -> Rows | None:
    """Rows by the compiled check alone; None where it refuses, whatever the reason."""
    try:
        # A row of its own may have a field of this name; then the first decoder fails and the second says.
        if key in reader.decoders and f'"{key}"'.encode() in body[:64]:
            structs = reader.decoders[key].decode(body).rows
            return reader.finish_all(structs) if structs else None
        if key == "rows" and b'"columns"' in body[:64] and (rows := _fast_columns(reader, body)):
            return rows
        if key == "rows" and "" in reader.decoders:
            return decode_single(reader, body)
    except (msgspec.MsgspecError, RecursionError, ValueError, OverflowError):
        return None
    return None


def _fast_columns(reader: Reader, body: bytes) -> Rows | None:
    try:
        return reader.finish_lists(reader.decoders[COLUMNS].decode(body).rows) if COLUMNS in reader.decoders else None
    except msgspec.MsgspecError:
        # A row of its own may have a field of this name.
        return None


def _fast_split(reader: Reader, body: bytes, most_rows: int) -> Rows | None:
    if reader.struct is None or f'"{_SPLIT}"'.encode() not in body[:64]:
        return None
    # A row is an array, and takes two bytes a column; around all rows there are three arrays at most.
    if len(body) > 2 * len(reader.columns) * most_rows and body.count(b"[") > most_rows + 3:
        return None
    try:
        names = named(body)
        if (order := reader.order(names)) is None:
            return None
        read = order.decoder.decode(body)
        split = read.dataframe_split
        is_known = not read.params and tuple(split.columns) == names and 0 < len(split.data) <= most_rows
        return reader.finish_arrays(split.data, order.places) if is_known else None
    except (msgspec.MsgspecError, RecursionError, ValueError, OverflowError):
        return None


def _parse(body: bytes) -> Any:
    """The decoded JSON, or the Problem with it."""
    try:
        return msgspec.json.decode(body)
    except RecursionError:
        return Problem("body", "is nested too deeply")
    except (msgspec.MsgspecError, ValueError, OverflowError):
        pass
    try:
        # It knows NaN and Infinity, which are no JSON, and so can name the field that has them.
        return _NotFinite(json.loads(body.decode()))
    except RecursionError:
        return Problem("body", "is nested too deeply")
    except json.JSONDecodeError as error:
        return Problem("body", f"is no valid JSON: {error.msg} at character {error.pos}")
    except ValueError:
        return Problem("body", "is no valid JSON: not in UTF-8, or with a number that is too long")


def _by_name(reader: Reader, value: Mapping[str, Any], most_rows: int) -> Answer:
    """One array a column."""
    if extra := _beside(value, COLUMNS):
        return extra
    lists = value[COLUMNS]
    if not all(isinstance(each, list) for each in lists.values()) or len({len(each) for each in lists.values()}) > 1:
        return (Problem("type", "needs an array a column, all of the same length", COLUMNS),)
    first = [each[0] for each in lists.values() if each]
    if refused := _too_many(_longest(lists), most_rows) or _misnamed(reader, list(lists), first):
        return refused
    return _rows(reader, [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)])


def _longest(lists: Mapping[str, Any]) -> int:
    return max((len(each) for each in lists.values() if isinstance(each, list)), default=0)


def _too_many(rows: int, most_rows: int) -> tuple[Problem, ...]:
    """Asked before rows are made: a bare value takes a byte or two of a body, and as an object a hundred times that."""
    return (Problem("rows", f"has more than {most_rows:,} rows; send them in parts"),) if rows > most_rows else ()


def _misnamed(reader: Reader, names: Sequence[str], first: Sequence[Any]) -> tuple[Problem, ...]:
    """What is wrong with the names, which is the same for every row, told of the first of them."""
    if not first or len(first) < len(names):
        return ()
    found = reader.read_records([dict(zip(names, first, strict=True))])
    return tuple(each for each in found if each.rule in _OF_NAMES) if isinstance(found, tuple) else ()


def _beside(value: Mapping[str, Any], key: str) -> tuple[Problem, ...]:
    extra = [name for name in value if name != key][:1]
    return tuple(Problem("extra", f"stands beside {key!r}; the rows alone are taken", name[:60]) for name in extra)


def _listed(reader: Reader, value: Mapping[str, Any], key: str) -> Answer:
    if extra := _beside(value, key):
        return extra
    records = value[key]
    if not isinstance(records, list):
        return (Problem("type", "is no array of rows", key),)
    return _rows(reader, records)


def _rows(reader: Reader, records: Sequence[Any]) -> Answer:
    if not records:
        return (Problem("empty", "holds no row"),)
    return reader.read_records(records)


def _instances(reader: Reader, value: Mapping[str, Any], most_rows: int) -> Answer:
    """Rows as objects, or one array a column."""
    given = value[_INSTANCES]
    if isinstance(given, dict) and len(value) == 1:
        first = [each[0] if isinstance(each, list) else each for each in given.values() if each != []]
        refused = _too_many(_longest(given), most_rows) or _misnamed(reader, list(given), first)
        return refused or _split(reader, {_SPLIT: _turned(given)}, most_rows)
    return _listed(reader, value, _INSTANCES)


def _turned(columns: Mapping[str, Any]) -> dict[str, Any]:
    lists = [values if isinstance(values, list) else [values] for values in columns.values()]
    if len({len(values) for values in lists}) > 1:
        return {"columns": list(columns), "data": "columns of different lengths"}
    return {"columns": list(columns), "data": [list(row) for row in zip(*lists, strict=True)]}


def _split(reader: Reader, value: Mapping[str, Any], most_rows: int) -> Answer:
    """`{"columns": […], "data": [[…], …]}`, an index beside them being of no meaning here."""
    if extra := [name for name in value if name != _SPLIT]:
        return (Problem("extra", f"stands beside {_SPLIT!r}", extra[0][:60]),)
    split = value[_SPLIT]
    names, data = (split.get("columns"), split.get("data")) if isinstance(split, dict) else (None, None)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return (Problem("type", "needs `columns`, an array of names", _SPLIT),)
    if len(set(names)) < len(names):
        return (Problem("type", "names a column twice", _SPLIT),)
    if not isinstance(data, list):
        return (Problem("type", "needs `data`, an array of rows of equal length", _SPLIT),)
    if refused := _too_many(len(data), most_rows):
        return refused
    for position, row in enumerate(data):
        if not isinstance(row, list) or len(row) != len(names):
            return (Problem("type", f"is no array of {len(names)} values", row=position),)
    if data and (refused := _misnamed(reader, names, data[0])):
        return refused
    return _convert(reader, [dict(zip(names, row, strict=True)) for row in data])


def _convert(reader: Reader, records: list[dict[str, Any]]) -> Answer:
    """Decoded records by the compiled check where it accepts them."""
    if reader.struct is None:
        return _rows(reader, records)
    struct: Any = reader.struct
    try:
        structs = msgspec.convert(records, list[struct])
        rows = reader.finish_all(structs) if structs else None
    except (msgspec.MsgspecError, ValueError, OverflowError):
        rows = None
    return rows if rows is not None else _rows(reader, records)


_FORMS: dict[str, Callable[[Reader, Mapping[str, Any], int], Answer]] = {
    _SPLIT: _split,
    _RECORDS: lambda reader, value, _: _listed(reader, value, _RECORDS),
    _INSTANCES: _instances,
}
