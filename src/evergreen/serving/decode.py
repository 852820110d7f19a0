"""Bodies of requests as rows: JSON in the forms that callers send. Whatever is sent, it never raises."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from evergreen.serving.handles import Problem
from evergreen.serving.reader import COLUMNS, Reader, Rows

Answer = Rows | tuple[Problem, ...]

_SPLIT, _RECORDS, _INSTANCES = "dataframe_split", "dataframe_records", "instances"
# MLflow's clients send it empty.
_PARAMS = "params"


class _NotFinite(NamedTuple):
    """What Python alone reads as JSON: there is a NaN or an infinity somewhere."""

    value: Any


def decode_records(reader: Reader, body: bytes) -> Answer:
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
        return _by_name(reader, value)
    return _listed(reader, value, "rows") if isinstance(value.get("rows"), list) else reader.read_records([value], True)


def decode_invocation(reader: Reader, body: bytes) -> Answer:
    """The JSON that MLflow's scoring server takes: `dataframe_split`, `dataframe_records` or `instances`."""
    for key in (_RECORDS, _INSTANCES):
        if rows := _fast(reader, body, key):
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
    return _FORMS[found[0]](reader, {key: given for key, given in value.items() if key != _PARAMS})


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
            return reader.finish_all([reader.decoders[""].decode(body)], single=True)
    except (msgspec.MsgspecError, RecursionError, ValueError, OverflowError):
        return None
    return None


def _fast_columns(reader: Reader, body: bytes) -> Rows | None:
    try:
        return reader.finish_lists(reader.decoders[COLUMNS].decode(body).rows) if COLUMNS in reader.decoders else None
    except msgspec.MsgspecError:
        # A row of its own may have a field of this name.
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


def _by_name(reader: Reader, value: Mapping[str, Any]) -> Answer:
    """One array a column."""
    if extra := _beside(value, COLUMNS):
        return extra
    lists = value[COLUMNS]
    if not all(isinstance(each, list) for each in lists.values()) or len({len(each) for each in lists.values()}) > 1:
        return (Problem("type", "needs an array a column, all of the same length", COLUMNS),)
    return _rows(reader, [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)])


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


def _instances(reader: Reader, value: Mapping[str, Any]) -> Answer:
    """Rows as objects, or one array a column."""
    given = value[_INSTANCES]
    if isinstance(given, dict):
        return _split(reader, {_SPLIT: _turned(given)}) if len(value) == 1 else _listed(reader, value, _INSTANCES)
    return _listed(reader, value, _INSTANCES)


def _turned(columns: Mapping[str, Any]) -> dict[str, Any]:
    lists = [values if isinstance(values, list) else [values] for values in columns.values()]
    if len({len(values) for values in lists}) > 1:
        return {"columns": list(columns), "data": "columns of different lengths"}
    return {"columns": list(columns), "data": [list(row) for row in zip(*lists, strict=True)]}


def _split(reader: Reader, value: Mapping[str, Any]) -> Answer:
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
    for position, row in enumerate(data):
        if not isinstance(row, list) or len(row) != len(names):
            return (Problem("type", f"is no array of {len(names)} values", row=position),)
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


_FORMS: dict[str, Callable[[Reader, Mapping[str, Any]], Answer]] = {
    _SPLIT: _split,
    _RECORDS: lambda reader, value: _listed(reader, value, _RECORDS),
    _INSTANCES: _instances,
}
