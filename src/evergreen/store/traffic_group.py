"""A group of predictions as bytes: column by column, as JSON, compressed where that is worth it. ADR 7 says why."""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import msgspec

from evergreen.store.block import Block, pack_block, unpack_block
from evergreen.store.prediction import Prediction, Role
from evergreen.store.tables import to_micros

MOST_ROWS = 2_000
"""Rows of a group at most: what is encoded, sent and decoded in one piece."""

SPAN = 3_600_000_000
"""Microseconds that a group lies within: whoever looks for a time has to look this much before it, and no further."""

ALL = "*"
"""In place of a number, in the id of a row of `predictions` that stands for all rows of its group: those of a request
from its `position` on."""

# Of a few rows compressing costs more than it saves.
_SMALL = 2_000
_BRACE = b"{"
# A map of MessagePack begins with a byte from here on; JSON and zlib do not.
_BLOCK = 0x80
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_decode_names = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@dataclass(frozen=True)
class Group:
    """Predictions of one version in one role, within an hour; times in microseconds."""

    model: str
    version: int
    role: Role
    at: tuple[int, ...]
    predictions: Sequence[Prediction]

    @property
    def key(self) -> str:
        """What tells a group that was written already from one that was not."""
        return f"{self.predictions[0].id} {self.role} {self.version}"


@dataclass(frozen=True)
class Packed:
    """A group as it is written: a row of `traffic`, and those of `predictions` without the number of the first."""

    key: str
    model: str
    version: int
    role: Role
    first_at: int
    last_at: int
    rows: int
    content: bytes
    places: Sequence[tuple[Any, ...]]


def packed(rows: Sequence[Prediction | Block]) -> Iterator[Packed]:
    """Predictions that came in any order, and blocks, as groups."""
    alone = [row for row in rows if not isinstance(row, Block)]
    for group in split(alone):
        yield _packed_group(group)
    for block in rows if len(alone) < len(rows) else ():
        for part in block.parts(MOST_ROWS) if isinstance(block, Block) else ():
            yield _packed_block(part)


def _packed_group(group: Group) -> Packed:
    first, last, rows = min(group.at), max(group.at), len(group.at)
    # The request is looked at only where several predictions share a row.
    places = [
        (position, p.id, group.model, at, p.row_id, None if p.row_id is None else p.request)
        for position, (p, at) in enumerate(zip(group.predictions, group.at, strict=True))
    ]
    return Packed(group.key, group.model, group.version, group.role, first, last, rows, pack(group), places)


def _packed_block(block: Block) -> Packed:
    at, model = to_micros(block.at), block.model
    key = f"{block.request}.{block.places[0]} {block.role} {block.version}"
    if block.whole:
        # One row stands for all: a row each would take longer than everything else that is done for them.
        places: list[tuple[Any, ...]] = [(block.places[0], f"{block.request}.{ALL}", model, at, None, None)]
    else:
        named = block.row_ids or [None] * len(block)
        places = [
            (position, name, model, at, row_id, None if row_id is None else block.request)
            for position, (name, row_id) in enumerate(zip(block.ids, named, strict=True))
        ]
    return Packed(key, model, block.version, block.role, at, at, len(block), pack_block(block, at), places)


def split(predictions: Sequence[Prediction]) -> Iterator[Group]:
    """The groups of predictions that came in any order; in each they stay in theirs."""
    timed = [((p.model, p.version, p.role, at // SPAN), at, p) for p in predictions for at in (to_micros(p.at),)]
    if any(each[0] != timed[0][0] for each in timed):
        timed.sort(key=lambda each: each[0])
    for (model, version, role, _), found in groupby(timed, key=lambda each: each[0]):
        same = list(found)
        for start in range(0, len(same), MOST_ROWS):
            part = same[start : start + MOST_ROWS]
            yield Group(model, version, role, tuple(at for _, at, _ in part), [p for _, _, p in part])


def pack(group: Group) -> bytes:
    """The rows of a group, but for what is the same in all of them."""
    rows = group.predictions
    columns: dict[str, Any] = {
        "id": [p.id for p in rows],
        "request": [p.request for p in rows],
        "at": group.at,
        "prediction": [p.prediction for p in rows],
        "inputs": _by_name([p.inputs for p in rows]),
    }
    for name in ("row_id", "latency_ms"):
        values = [getattr(p, name) for p in rows]
        if any(value is not None for value in values):
            columns[name] = values
    if any(p.explored for p in rows):
        columns["explored"] = [p.explored for p in rows]
    if any(p.probabilities is not None for p in rows):
        columns["probabilities"] = _by_name([p.probabilities or {} for p in rows])
    content = _encode(columns)
    return content if len(content) < _SMALL else zlib.compress(content, 1)


def unpack(content: bytes, fields: Sequence[str] | None = None) -> dict[str, Any]:
    """The columns of `pack`, with all inputs, or with these fields of them: the others are not looked into."""
    if content[0] >= _BLOCK:
        return unpack_block(content, fields)
    text = content if content[:1] == _BRACE else zlib.decompress(content)
    if fields is None:
        columns: dict[str, Any] = _decode(text)
        return columns
    raw = _decode_names(text)
    inputs = _decode_names(raw.pop("inputs"))
    columns = {name: _decode(values) for name, values in raw.items()}
    return {**columns, "inputs": {name: _decode(inputs[name]) for name in fields if name in inputs}}


def _by_name(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Values by name; a row that lacks a name has null there."""
    names = list(rows[0])
    if all(len(row) == len(names) for row in rows):
        try:
            return {name: [row[name] for row in rows] for name in names}
        except KeyError:
            pass
    every = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in every}


def choose(columns: Mapping[str, Any], wanted: Callable[[int], bool]) -> dict[str, Any]:
    """The columns of a group with the rows whose time is wanted."""
    kept = [place for place, at in enumerate(columns["at"]) if wanted(at)]

    def pick(values: Any) -> Any:
        if isinstance(values, dict):
            return {name: pick(each) for name, each in values.items()}
        return [values[place] for place in kept]

    return {name: pick(values) for name, values in columns.items()}
