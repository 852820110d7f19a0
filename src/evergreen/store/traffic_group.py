"""A group of predictions as bytes: column by column, as JSON, compressed where that is worth it. ADR 7 says why."""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

import msgspec

from evergreen.store.block import Block, pack_block, unpack_block
from evergreen.store.inputs import by_name
from evergreen.store.moments import to_micros
from evergreen.store.prediction import Prediction, Role

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
# Most of what is done for a row happens in calls like these, without a loop of ours: the thread that writes shares the
# interpreter with the loop that answers, and each time the one takes it from the other costs as much as an answer.
_AT, _WHOSE = attrgetter("at"), attrgetter("model", "version", "role")
_NAMES = attrgetter("id", "request", "row_id")
_ROW = attrgetter("id", "request", "prediction", "inputs", "row_id", "latency_ms", "explored", "probabilities")
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
    """A group as it is written: a row of `traffic`, and those of `predictions`, each with its position, id, moment, the
    caller's name of it and its request.
    """

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
    ids, requests, names = zip(*map(_NAMES, group.predictions), strict=True)
    places = list(zip(range(rows), ids, group.at, names, _requests_of(names, requests), strict=True))
    return Packed(group.key, group.model, group.version, group.role, first, last, rows, pack(group), places)


def _requests_of(names: Sequence[str | None], requests: Sequence[str]) -> list[str | None]:
    """The request of each named row: it is looked at only where several predictions share a row.

    Raises ValueError for a name with a NUL, which ends a text in SQLite, and is none in PostgreSQL.
    """
    if "\0" in "".join(filter(None, names)):
        raise ValueError("the name of a row has a NUL in it")
    return [None if name is None else request for name, request in zip(names, requests, strict=True)]


def _packed_block(block: Block) -> Packed:
    at, model = to_micros(block.at), block.model
    key = f"{block.request}.{block.places[0]} {block.role} {block.version}"
    if block.whole:
        # One row stands for all: a row each would take longer than everything else that is done for them.
        places: list[tuple[Any, ...]] = [(block.places[0], f"{block.request}.{ALL}", at, None, None)]
    else:
        rows, named = len(block), block.row_ids or [None] * len(block)
        requests = _requests_of(named, [block.request] * rows)
        places = list(zip(range(rows), block.ids, [at] * rows, named, requests, strict=True))
    return Packed(key, model, block.version, block.role, at, at, len(block), pack_block(block, at), places)


def split(predictions: Sequence[Prediction]) -> Iterator[Group]:
    """The groups of predictions that came in any order; in each they stay in theirs."""
    if not predictions:
        return
    moments = list(map(to_micros, map(_AT, predictions)))
    timed = list(zip(map(_WHOSE, predictions), moments, predictions, strict=True))
    hours = min(moments) // SPAN, max(moments) // SPAN
    if hours[0] < hours[1] or len({whose for whose, _, _ in timed}) > 1:
        timed.sort(key=_together)
    for (whose, _), found in groupby(timed, key=_together):
        same = list(found)
        for start in range(0, len(same), MOST_ROWS):
            _, at, part = zip(*same[start : start + MOST_ROWS], strict=True)
            yield Group(*whose, at, part)


def _together(timed: tuple[tuple[str, int, Role], int, Prediction]) -> tuple[tuple[str, int, Role], int]:
    return timed[0], timed[1] // SPAN


def pack(group: Group) -> bytes:
    """The rows of a group, but for what is the same in all of them."""
    rows = group.predictions
    ids, requests, answers, inputs, row_ids, latencies, explored, chances = zip(*map(_ROW, rows), strict=True)
    columns: dict[str, Any] = {
        "id": ids,
        "request": requests,
        "at": group.at,
        "prediction": answers,
        "inputs": by_name(inputs),
    }
    for name, values in (("row_id", row_ids), ("latency_ms", latencies)):
        if values.count(None) < len(rows):
            columns[name] = values
    if True in explored:
        columns["explored"] = explored
    if (missing := chances.count(None)) < len(rows):
        columns["probabilities"] = by_name([each or {} for each in chances] if missing else chances)
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


def choose(columns: Mapping[str, Any], wanted: Callable[[int], bool]) -> dict[str, Any]:
    """The columns of a group with the rows whose time is wanted."""
    kept = [place for place, at in enumerate(columns["at"]) if wanted(at)]

    def pick(values: Any) -> Any:
        if isinstance(values, dict):
            return {name: pick(each) for name, each in values.items()}
        return [values[place] for place in kept]

    return {name: pick(values) for name, values in columns.items()}
