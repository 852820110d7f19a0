"""Rows of a request against the columns of a model: a compiled check that almost all pass, an exact one that explains.

The compiled check refuses some that are right, such as a category written as 3.0. It never accepts what the exact one
would refuse or read differently, so that only speed depends on which of them reads a row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

import msgspec

from evergreen.serving.by_column import ByColumn, by_column
from evergreen.serving.handles import Column, Problem, Row
from evergreen.serving.ordered import Order, orders
from evergreen.serving.read_columns import NotSo, change_of, field_reader, listed
from evergreen.serving.values import LONGEST, Refusal, null_of, read_id, read_value

MOST_PROBLEMS = 20
"""How many problems are told at once."""

MANY = 64
"""More rows than this are kept column by column."""

LISTS = ("rows", "dataframe_records", "instances")
"""Under which keys a request may have its rows."""

COLUMNS = "columns"
"""Under which it may have one array a column instead."""

_SHOWN = 60


@dataclass(frozen=True)
class Rows:
    """Valid rows, with the caller's own name of each (None where it gave none).

    `single` is True where the request was one bare row, and not a list of rows.
    """

    rows: Sequence[Row]
    ids: Sequence[str | None]
    single: bool = False


@dataclass(frozen=True)
class Reader:
    """Reads requests of one model. Build it with `build_reader`; it keeps no state, so that threads may share it."""

    columns: tuple[Column, ...]
    id_column: str | None = None
    struct: Any = field(kw_only=True)
    decoders: "Mapping[str, msgspec.json.Decoder[Any]]" = field(kw_only=True)
    finish: "Callable[[Any], tuple[Row, str | None]]" = field(kw_only=True)
    finish_columns: "Callable[[Sequence[Any]], Rows]" = field(kw_only=True)
    order: Callable[[tuple[str, ...]], Order | None] = field(kw_only=True)

    def exact(self) -> "Reader":
        """The same without the compiled check, for values that only the exact one judges."""
        return replace(self, struct=None, decoders={})

    def finish_one(self, struct: msgspec.Struct) -> "Rows | None":
        """The row of one bare object that msgspec accepted; None where a value needs the exact check."""
        try:
            row, name = self.finish(struct)
        except NotSo:
            return None
        return Rows([row], [name], True)

    def finish_all(self, structs: Sequence[msgspec.Struct]) -> "Rows | None":
        """The same of an array of them."""
        finish = self.finish
        try:
            if len(structs) > MANY:
                return self.finish_columns(list(zip(*map(msgspec.structs.astuple, structs), strict=True)))
            rows, ids = zip(*[finish(struct) for struct in structs], strict=True) if structs else ((), ())
        except NotSo:
            return None
        return Rows(list(rows), list(ids))

    def finish_lists(self, struct: msgspec.Struct) -> "Rows | None":
        """The same for what msgspec accepted as one array a column; None where their lengths differ, or are 0, too."""
        lists = msgspec.structs.astuple(struct)
        lengths = {len(each) for each in lists if each is not None}
        try:
            found = self.finish_columns(lists) if len(lengths) == 1 and 0 not in lengths else None
        except NotSo:
            return None
        return None if found is None else replace(found, rows=few_as_rows(found.rows))

    def finish_arrays(self, rows: Sequence[tuple[Any, ...]], places: tuple[int, ...]) -> "Rows | None":
        """The same for what msgspec accepted as one array a row, the columns standing at these places in it."""
        if len(rows) <= MANY:
            return self.finish_all([self.struct(*map(row.__getitem__, places)) for row in rows])
        columns = list(zip(*rows, strict=True))
        try:
            # No names of rows, where they have no place.
            return self.finish_columns([*map(columns.__getitem__, places), None])
        except NotSo:
            return None

    def read_records(self, records: Sequence[Any], single: bool = False) -> "Rows | tuple[Problem, ...]":
        """Decoded objects as rows, or all that is wrong with them, up to MOST_PROBLEMS."""
        rows: list[Row] = []
        ids: list[str | None] = []
        problems: list[Problem] = []
        for position, record in enumerate(records):
            row, name, found = self._read_record(record, position)
            rows.append(row)
            ids.append(name)
            problems += found
            if len(problems) >= MOST_PROBLEMS:
                return tuple(problems[:MOST_PROBLEMS])
        if problems:
            return tuple(problems)
        return Rows(by_column(self.columns, rows) if len(rows) > MANY else rows, ids, single)

    def _read_record(self, record: Any, position: int) -> tuple[Row, str | None, list[Problem]]:
        if not isinstance(record, Mapping):
            return (), None, [Problem("type", "is no object of fields and values", row=position)]
        problems = self._extra(record, position)
        values = []
        for column in self.columns:
            if column.name in record:
                value = read_value(column, record[column.name])
            else:
                value = Refusal("missing", "is missing; write null where the value is not known")
            if isinstance(value, Refusal):
                problems.append(Problem(value.rule, value.why, _printable(column.name), position))
            values.append(value)
        name = read_id(record.get(self.id_column)) if self.id_column is not None else None
        if isinstance(name, Refusal):
            problems.append(Problem(name.rule, name.why, self.id_column, position))
            name = None
        return tuple(values), name, problems

    def _extra(self, record: Mapping[str, Any], position: int) -> list[Problem]:
        known = {column.name for column in self.columns} | {self.id_column}
        extra = [name for name in record if name not in known][:MOST_PROBLEMS]
        return [Problem("extra", "is no input of the model", _printable(name), position) for name in extra]


def few_as_rows(rows: Sequence[Row]) -> Sequence[Row]:
    """Up to MANY of them one by one, in whatever form they came: by column they were a group of the store's own."""
    return rows if len(rows) > MANY else list(rows)


def build_reader(columns: Sequence[Column], id_column: str | None = None) -> Reader:
    """Compile the check of the columns. `id_column` is a field that a row may have beside them; others are refused."""
    columns = tuple(columns)
    given = id_column is not None and all(column.name != id_column for column in columns)
    fields: list[Any] = [(f"f{i}", _field_type(column)) for i, column in enumerate(columns)]
    names = {f"f{i}": column.name for i, column in enumerate(columns)}
    if given:
        fields.append(("name", str | int | None, None))
        names["name"] = str(id_column)
    struct = msgspec.defstruct("Row", fields, rename=names, forbid_unknown_fields=True, gc=False)
    lists: list[Any] = [(name, list[kind]) for name, kind, *_ in fields[: len(columns)]]  # type: ignore[valid-type]
    lists += [("name", list[str | int | None] | None, None)] if given else []
    by_name = msgspec.defstruct("Lists", lists, rename=names, forbid_unknown_fields=True, gc=False)
    decoders = {key: _only_decoder(list[struct], key) for key in LISTS}  # type: ignore[valid-type]
    decoders |= {"": msgspec.json.Decoder(struct), COLUMNS: _only_decoder(by_name, COLUMNS)}
    return Reader(
        columns,
        id_column,
        struct=struct,
        decoders=decoders,
        finish=_finisher(columns, id_column, given),
        finish_columns=_columns_finisher(columns, id_column, given),
        order=orders({names[name]: kind for name, kind, *_ in fields}, id_column if given else None),
    )


def _only_decoder(kind: Any, key: str) -> "msgspec.json.Decoder[Any]":
    """Of an object that holds nothing but rows, under this key."""
    rows = [("rows", kind)]
    return msgspec.json.Decoder(msgspec.defstruct("Body", rows, rename={"rows": key}, forbid_unknown_fields=True))


def _field_type(column: Column) -> Any:
    """What msgspec checks of a column by itself: nothing wider than the exact check."""
    kind: Any
    if column.type in ("integer", "number"):
        kind = Annotated[float, msgspec.Meta(ge=column.min, le=column.max)]
    elif column.type == "boolean":
        kind = bool
    elif column.type == "datetime":
        kind = Annotated[str, msgspec.Meta(max_length=LONGEST["datetime"])]
    elif listed(column):
        kind = Literal[tuple(listed(column))]
    else:
        kind = Annotated[str, msgspec.Meta(max_length=LONGEST[column.type])] | int | float
    return kind | None if column.nullable else kind


def _finisher(
    columns: tuple[Column, ...], id_column: str | None, given: bool
) -> "Callable[[Any], tuple[Row, str | None]]":
    """From what msgspec accepted to a canonical row: nulls, and what no type can say."""
    nulls = tuple(null_of(column) for column in columns)
    changes = [(i, change) for i, column in enumerate(columns) if (change := change_of(column)) is not None]
    names = [column.name for column in columns]
    place = names.index(id_column) if id_column is not None and not given else None
    astuple = msgspec.structs.astuple

    def finish(struct: Any) -> tuple[Row, str | None]:
        values = astuple(struct)
        name = None
        if given:
            name, values = values[-1], values[:-1]
        elif place is not None:
            name = values[place]
        if None in values:
            values = tuple([null if value is None else value for value, null in zip(values, nulls, strict=True)])
        if changes:
            row = list(values)
            for position, change in changes:
                row[position] = change(row[position])
            values = tuple(row)
        return values, None if name is None else _id(name)

    return finish


def _columns_finisher(
    columns: tuple[Column, ...], id_column: str | None, given: bool
) -> "Callable[[Sequence[Any]], Rows]":
    """The same for many rows at once, of which the values of each column are given."""
    readers = [field_reader(column, change_of(column)) for column in columns]
    names = [column.name for column in columns]
    place = len(names) if given else names.index(id_column) if id_column in names else None

    def finish(values: Sequence[Any]) -> Rows:
        # The last may be of names.
        fields = [read(each) for read, each in zip(readers, values, strict=False)]
        if place is None or values[place] is None:
            return Rows(ByColumn(fields), [None] * len(values[0]))
        known = {value: None if value is None else _id(value) for value in set(values[place])}
        return Rows(ByColumn(fields), [known[value] for value in values[place]])

    return finish


def _id(value: Any) -> str | None:
    name = read_id(value)
    if isinstance(name, Refusal):
        raise NotSo
    return name


def _printable(name: Any) -> str:
    text = str(name)[:_SHOWN]
    return "".join(c if c.isprintable() else "?" for c in text)
