"""What a Parquet file says of its columns, read without Arrow.

Arrow's Python reader ends the whole process where the statistics of a column are malformed: it does not expect what
the reader in C++ throws then (pyarrow 25, `RowGroupMetaData.column`).
"""

from collections.abc import Iterator
from typing import NamedTuple

MOST_BYTES = 2**20
"""Of a footer, which grows with columns and groups of rows, and not with rows."""

_MAGIC = b"PAR1"
# Types of values in Thrift's compact protocol.
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT, _UUID = range(1, 14)
_WIDTHS = {_TRUE: 0, _FALSE: 0, _BYTE: 1, _DOUBLE: 8, _UUID: 16}
_DEEPEST = 16
# parquet.thrift: where FileMetaData has its row groups, these their columns, those their metadata, and what is in that.
_ROW_GROUPS, _COLUMNS, _META_DATA = 4, 1, 3
_ENCODINGS, _SIZE = 2, 6


class LongFooter(Exception):  # noqa: N818 - it becomes an answer
    """A footer of more than MOST_BYTES."""


class ColumnChunk(NamedTuple):
    """A column of a group of rows: its encodings as parquet.thrift numbers them, and its bytes when unfolded."""

    encodings: tuple[int, ...] = ()
    size: int = 0


def column_chunks(body: bytes) -> Iterator[ColumnChunk]:
    """Those of a file, group after group. Raises ValueError where it is none, and LongFooter."""
    length = int.from_bytes(body[-8:-4], "little")
    if body[:4] != _MAGIC or body[-4:] != _MAGIC or length > len(body) - 12:
        raise ValueError("no Parquet file")
    if length > MOST_BYTES:
        raise LongFooter
    footer = _Thrift(body[-8 - length : -8])
    try:
        for _ in footer.find(_ROW_GROUPS, _LIST):
            for _ in footer.items(_STRUCT):
                for _ in footer.find(_COLUMNS, _LIST):
                    for _ in footer.items(_STRUCT):
                        yield _column_chunk(footer)
    except IndexError:
        raise ValueError("a footer that ends too soon") from None


def _column_chunk(footer: "_Thrift") -> ColumnChunk:
    found = ColumnChunk()
    for _ in footer.find(_META_DATA, _STRUCT):
        for field, kind in footer.fields():
            if (field, kind) == (_ENCODINGS, _LIST):
                found = found._replace(encodings=tuple(footer.number(32) for _ in footer.items(_I32)))
            elif (field, kind) == (_SIZE, _I64):
                found = found._replace(size=footer.number(64))
            else:
                footer.skip(kind)
    return found


class _Thrift:
    """Walks through a struct. Raises IndexError at the end of the bytes, ValueError where they are no struct."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def fields(self) -> Iterator[tuple[int, int]]:
        """Number and type of each field; before the next one its value has to be read or skipped."""
        field = 0
        while head := self._byte():
            field = field + (head >> 4) if head >> 4 else self.number(16)
            if field >> 15:
                raise ValueError("a field of too high a number")
            yield field, head & 15

    def find(self, wanted: int, kind: int) -> Iterator[None]:
        """Stops where the value of this field stands, and has to be read."""
        for field, found in self.fields():
            if (field, found) == (wanted, kind):
                yield
            else:
                self.skip(found)

    def items(self, kind: int) -> Iterator[None]:
        """Stops at each item of a list of this type; before the next one it has to be read."""
        size, found = self._list()
        if size and found != kind:
            raise ValueError("a list of another type")
        for _ in range(size):
            yield

    def number(self, bits: int) -> int:
        """A whole number. Raises ValueError for one of more bits, of which other readers take the lowest."""
        value = self._varint()
        if value >> bits:
            raise ValueError(f"a number of more than {bits} bits")
        return (value >> 1) ^ -(value & 1)

    def skip(self, kind: int, depth: int = 0) -> None:
        """Go past a value of this type."""
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        if kind in _WIDTHS:
            self._at += _WIDTHS[kind]
        elif kind in (_I16, _I32, _I64):
            self._varint()
        elif kind == _BINARY:
            size = self._varint()
            self._at += size
        elif kind in (_LIST, _SET):
            size, found = self._list()
            self._skip_all(size, [found], depth)
        elif kind == _MAP:
            if size := self._varint():
                kinds = self._byte()
                self._skip_all(size, [kinds >> 4, kinds & 15], depth)
        elif kind == _STRUCT:
            for _, inner in self.fields():
                self.skip(inner, depth + 1)
        else:
            raise ValueError("a value of no known type")

    def _skip_all(self, size: int, kinds: list[int], depth: int) -> None:
        for _ in range(size):
            for kind in kinds:
                # Outside of fields a truth value is a byte.
                self.skip(_BYTE if kind in (_TRUE, _FALSE) else kind, depth + 1)
            if self._at > len(self._data):
                raise IndexError

    def _list(self) -> tuple[int, int]:
        head = self._byte()
        return head >> 4 if head >> 4 < 15 else self._varint(), head & 15

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) >= 128:
            value |= (byte & 127) << shift
            if (shift := shift + 7) > 63:
                raise ValueError("a number of more than 64 bits")
        return value | byte << shift

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]
