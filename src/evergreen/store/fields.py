"""Values of one field of many rows as an array, and that as bytes."""

import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

Kind = Literal["number", "integer", "boolean", "datetime", "text"]
Array = npt.NDArray[Any]

NO_MOMENT = int(np.iinfo(np.int64).min)
"""A missing moment among microseconds."""

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - written as UTC below
# Names of categories are few and short; texts are worth compressing.
_SMALL = 2_000
_SIZES = (np.dtype("<i1"), np.dtype("<i2"), np.dtype("<i4"))
_MOST_DECIMALS = 4
_TEXTS = {str, type(None)}
_TRIED = 16


@dataclass(frozen=True, eq=False)
class Field:
    """A field of so many rows. `values` are float64 with NaN for null (number, integer, boolean), microseconds since
    1970 with NO_MOMENT (datetime), or places among `names`, one of which may be None (text).
    """

    kind: Kind
    values: Array
    names: Sequence[str | None] = ()

    def __len__(self) -> int:
        return len(self.values)

    @property
    def nbytes(self) -> int:
        """How many bytes it takes in memory, without what Python adds to each text.

        >>> Field("number", np.zeros(3)).nbytes, texts(["ab", None, "ab"]).nbytes
        (24, 14)
        """
        return int(self.values.nbytes) + sum(map(len, filter(None, self.names)))

    def take(self, places: Any) -> "Field":
        """Some of the rows: a slice of them, or their places. No text of another row comes with them.

        >>> texts(["a", "b", None]).take([2, 0, 2])
        Field(kind='text', values=array([1, 0, 1], dtype=int32), names=['a', None])
        """
        return replace(self, values=self.values[places]).compact()

    def compact(self) -> "Field":
        """The same without texts that no row has."""
        if self.kind != "text":
            return self
        is_used = np.bincount(self.values, minlength=len(self.names)) > 0
        if is_used.all():
            return self
        places = (np.cumsum(is_used) - 1).astype(np.int32)[self.values]
        return Field("text", places, [name for name, used in zip(self.names, is_used.tolist(), strict=True) if used])

    def tolist(self) -> list[Any]:
        """A value a row as JSON has it: null for a missing one, whole numbers whole, ISO 8601 for a moment.

        >>> Field("integer", np.array([3.0, np.nan])).tolist(), texts(["a", None, "a"]).tolist()
        ([3, None], ['a', None, 'a'])
        """
        values: list[Any] = self.values.tolist()
        if self.kind == "text":
            return list(map(self.names.__getitem__, values))
        if self.kind == "datetime":
            values = [None if value == NO_MOMENT else value for value in values]
        return list(as_json(self.kind, values))


def as_json(kind: Kind, values: Sequence[Any]) -> Sequence[Any]:
    """Canonical values of a field as JSON has them; null is NaN among numbers and truth values, None among the rest.

    >>> as_json("integer", [3.0, float("nan")]), as_json("datetime", [0, None])
    ([3, None], ['1970-01-01T00:00:00Z', None])
    """
    if kind == "text":
        return values
    if kind == "datetime":
        return [None if value is None or value != value else _moment(value) for value in values]  # noqa: PLR0124 - NaN
    if kind == "number":
        # One of them makes the sum a NaN, which alone is not equal to itself.
        total = sum(values)
        if total == total:  # noqa: PLR0124
            return values
        return [None if value != value else value for value in values]  # noqa: PLR0124
    plain = int if kind == "integer" else bool
    return [None if value != value else plain(value) for value in values]  # noqa: PLR0124


def texts(values: Iterable[str | None]) -> Field:
    """Texts as a field: each of them once, and where it stands."""
    # A text that was not seen yet is given the next place.
    places: defaultdict[str | None, int] = defaultdict(count().__next__)
    found = np.fromiter(map(places.__getitem__, values), np.int32)
    return Field("text", found, list(places))


def plain_field(values: Sequence[Any]) -> Field:
    """What a model said, as a field: labels, or numbers.

    >>> plain_field(["no", "yes"]).kind, plain_field([1.5, 2]).kind
    ('text', 'number')
    """
    if set(map(type, values)) <= _TEXTS:
        return texts(values)
    return Field("number", np.asarray(values, dtype=np.float64))


def pack_field(field: Field) -> dict[str, Any]:
    """A field as MessagePack has it: the array in as few bytes as hold every value exactly."""
    if field.kind == "text":
        field = field.compact()
        most = len(field.names)
        array = field.values.astype("<u1" if most <= 2**8 else "<u2" if most <= 2**16 else "<u4")
        names: Any = list(field.names)
        if sum(map(len, filter(None, names))) > _SMALL:
            names = zlib.compress(msgspec.json.encode(names), 1)
        return {"kind": "text", "type": array.dtype.str, "values": array.tobytes(), "names": names}
    array, decimals = (field.values, 0) if field.kind == "datetime" else _smallest(field.values)
    packed = {"kind": field.kind, "type": array.dtype.str, "values": array.tobytes()}
    return packed | ({"decimals": decimals} if decimals else {})


def unpack_field(packed: Mapping[str, Any]) -> Field:
    """The inverse of `pack_field`."""
    values = np.frombuffer(packed["values"], dtype=packed["type"])
    kind = packed["kind"]
    if kind == "text":
        names = packed["names"]
        return Field(kind, values, msgspec.json.decode(zlib.decompress(names)) if isinstance(names, bytes) else names)
    if kind == "datetime":
        return Field(kind, values)
    return Field(kind, values / 10 ** packed["decimals"] if "decimals" in packed else values.astype(np.float64))


def _smallest(values: Array) -> tuple[Array, int]:
    """Numbers of few decimals as whole ones, where dividing gives the very same numbers back (the idea of ALP, Afroozeh
    and Boncz 2023); else as they are.
    """
    some = values[:_TRIED].tolist()
    # The first few tell at once of nearly all columns that they have no such form.
    for decimals in range(_MOST_DECIMALS + 1):
        if all(value == round(value, decimals) for value in some) and (whole := _scaled(values, decimals)) is not None:
            return whole, decimals
    return values, 0


def _scaled(values: Array, decimals: int) -> Array | None:
    factor = 10**decimals
    with np.errstate(over="ignore", invalid="ignore"):
        whole = np.rint(values * factor)
    # A NaN is not equal to itself, and -0.0 would lose its sign.
    if not np.array_equal(whole / factor, values) or np.signbit(values[values == 0]).any():
        return None
    most = np.abs(whole).max(initial=0)
    return next((whole.astype(size) for size in _SIZES if most <= np.iinfo(size).max), None)


def _moment(microseconds: int) -> str:
    return f"{(_EPOCH + timedelta(microseconds=microseconds)).isoformat()}Z"
