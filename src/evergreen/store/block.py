"""Many rows of one request, column by column from its body to the store: none of them is ever an object."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from evergreen.store.fields import Field, pack_field, unpack_field
from evergreen.store.prediction import Role

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


@dataclass(frozen=True, eq=False)
class Block:
    """Answered rows of one request, as `Prediction` has them one by one.

    `places` are where the rows stand in the request; with it they make the ids. `probabilities` has shape (rows,
    classes), None where there are none. `row_ids` are the caller's own names of the rows, None where it gave none.
    `explored` marks rows as that of `Prediction` does, None where no row is.
    """

    request: str
    model: str
    version: int
    role: Role
    at: datetime
    latency_ms: float
    inputs: Mapping[str, Field]
    prediction: Field
    places: Sequence[int]
    probabilities: npt.NDArray[np.float64] | None = None
    classes: Sequence[str] = ()
    row_ids: Sequence[str | None] | None = None
    explored: Sequence[bool] | None = None

    def __len__(self) -> int:
        return len(self.places)

    @property
    def ids(self) -> list[str]:
        """Of every row."""
        return [f"{self.request}.{place}" for place in self.places]

    @property
    def whole(self) -> bool:
        """True where the rows lie one after another in the request, and no other names of them are known."""
        return self.row_ids is None and isinstance(self.places, range)

    def take(self, chosen: slice | Sequence[int]) -> "Block":
        """Some of the rows."""
        # Once for all fields: numpy turns a list into an array anew for each of them.
        where = chosen if isinstance(chosen, slice) else np.asarray(chosen, dtype=np.intp)
        return replace(
            self,
            inputs={name: field.take(where) for name, field in self.inputs.items()},
            prediction=self.prediction.take(where),
            places=_taken(self.places, chosen),
            probabilities=None if self.probabilities is None else self.probabilities[where],
            row_ids=None if self.row_ids is None else _taken(self.row_ids, chosen),
            explored=None if self.explored is None else _taken(self.explored, chosen),
        )

    def parts(self, rows: int) -> Iterator["Block"]:
        """The same in pieces of so many rows at most."""
        if len(self) <= rows:
            yield self
            return
        for start in range(0, len(self), rows):
            yield self.take(slice(start, start + rows))


def _taken(values: Sequence[Any], chosen: slice | Sequence[int]) -> Sequence[Any]:
    return values[chosen] if isinstance(chosen, slice) else [values[each] for each in chosen]


def pack_block(block: Block, at: int) -> bytes:
    """The rows of a block; `at` is their moment in microseconds."""
    places = block.places
    columns: dict[str, Any] = {
        "request": block.request,
        "places": [places.start, places.stop] if isinstance(places, range) else {"of": list(places)},
        "at": at,
        "latency_ms": block.latency_ms,
        "prediction": pack_field(block.prediction),
        "inputs": {name: pack_field(field) for name, field in block.inputs.items()},
    }
    if block.row_ids is not None:
        columns["row_id"] = block.row_ids
    if block.explored is not None:
        columns["explored"] = block.explored
    if block.probabilities is not None:
        turned = np.ascontiguousarray(block.probabilities.T, dtype="<f8")
        columns["probabilities"] = [list(block.classes), turned.tobytes()]
    return _encode(columns)


def unpack_block(content: bytes, fields: Sequence[str] | None = None) -> dict[str, Any]:
    """The columns of a block as those of a group: a list of values each; all inputs, or these fields of them."""
    packed = _decode(content)
    given, inputs = packed["places"], packed["inputs"]
    places: Sequence[int] = range(*given) if isinstance(given, list) else given["of"]
    request, rows = packed["request"], len(places)
    names = list(inputs) if fields is None else [name for name in fields if name in inputs]
    columns: dict[str, Any] = {
        "id": [f"{request}.{place}" for place in places],
        "request": [request] * rows,
        "at": [packed["at"]] * rows,
        "latency_ms": [packed["latency_ms"]] * rows,
        "prediction": unpack_field(packed["prediction"]).tolist(),
        "inputs": {name: unpack_field(inputs[name]).tolist() for name in names},
    }
    if "row_id" in packed:
        columns["row_id"] = packed["row_id"]
    if "explored" in packed:
        columns["explored"] = packed["explored"]
    if "probabilities" in packed:
        classes, values = packed["probabilities"]
        matrix = np.frombuffer(values, dtype="<f8").reshape(len(classes), rows)
        columns["probabilities"] = {
            name: Field("number", chances).tolist() for name, chances in zip(classes, matrix, strict=True)
        }
    return columns
