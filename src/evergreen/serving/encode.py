"""The fitted pipeline's preprocessing as a function of rows: the same numbers, without a frame.

Putting a frame together and taking it apart again is 95 % of the time that a pipeline takes for one row.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from evergreen.serving.by_column import ByColumn
from evergreen.serving.derive import Slot, Step, compile_steps
from evergreen.serving.handles import Row
from evergreen.serving.lookup import Lookup, lookup_of
from evergreen.serving.uncompiled import NotCompilable

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

Matrix = npt.NDArray[Any]
# What float32 can hold, as in evergreen.features.encode, which is not loaded for it.
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Category:
    """One categorical column: where its values stand, their codes, and its first column of the matrix.

    An `indicator` sets one of several columns to 1; else the code itself is written.
    """

    slot: Slot
    codes: Lookup
    start: int
    indicator: bool

    def read_field(self, rows: ByColumn, work: Matrix) -> Matrix:
        """The code of each row; each text is looked up once."""
        position = self.slot.position
        if self.codes.numbers or position is None:
            return np.array(self.codes.read(self.slot.values(rows, work)))
        field = rows.fields[position]
        return np.array(self.codes.read(field.names))[field.values]

    def read(self, rows: Sequence[Row], work: Matrix) -> list[Any]:
        """The code of each row."""
        if self.codes.numbers:
            return self.codes.read(self.slot.values(rows, work))
        # Texts stand in the rows. Putting both walks into one saves a third of the time.
        get, unseen, position = self.codes.table.get, self.codes.unseen, self.slot.position
        assert position is not None
        return [get(row[position], unseen) for row in rows]


@dataclass(frozen=True)
class Scale:
    """What fills gaps in the numeric columns, and their centres and scales."""

    fill: Matrix
    center: Matrix
    scale: Matrix

    def apply(self, numbers: Matrix, gaps: Matrix) -> None:
        """Fill gaps and scale, in place."""
        np.copyto(numbers, self.fill, where=gaps)
        numbers -= self.center
        numbers /= self.scale
        # Two calls: np.clip takes as long as all the rest for one row.
        np.minimum(numbers, LARGEST, out=numbers)
        np.maximum(numbers, -LARGEST, out=numbers)


@dataclass(frozen=True)
class Encoder:
    """Rows to the matrix that the estimator reads, float32, or float64 where it multiplies and adds.

    `raw` are the places of numbers in a row, which come first in a working array of `wide` columns; `steps` fill the
    rest of it. `numeric` are its columns that the matrix starts with.
    """

    raw: tuple[int, ...]
    wide: int
    steps: tuple[Step, ...]
    numeric: Matrix
    scale: Scale | None
    categories: tuple[Category, ...]
    width: int
    unknown: Matrix | None
    dtype: Any

    def __call__(self, rows: Sequence[Row]) -> Matrix:
        """The matrix, shape (rows, columns)."""
        work = self._work(rows)
        matrix = np.zeros((len(rows), self.width), dtype=self.dtype)
        if len(self.numeric):
            matrix[:, : len(self.numeric)] = self._numbers(work)
        # isinstance asks an abstract class, which takes longer.
        if type(rows) is ByColumn:
            self._write_fields(rows, work, matrix)
        else:
            self._write(rows, work, matrix)
        if self.unknown is not None:
            matrix[:, self.unknown] = 0.0
        return matrix

    def _numbers(self, work: Matrix) -> Matrix:
        """The numeric columns, in the precision that training gave them."""
        with np.errstate(over="ignore", invalid="ignore"):
            numbers = work[:, self.numeric]
            # What float32 cannot hold counts as missing; a NaN is not below anything either.
            gaps = ~(np.abs(numbers) <= LARGEST)
            if self.scale is None:
                np.copyto(numbers, np.nan, where=gaps)
            else:
                self.scale.apply(numbers, gaps)
            return numbers.astype(np.float32)

    def _work(self, rows: Sequence[Row]) -> Matrix:
        """The numbers of the rows, and what is derived from them."""
        if len(self.raw) == self.wide > 1 and type(rows) is not ByColumn:
            return np.array(list(map(itemgetter(*self.raw), rows)), dtype=np.float64)
        work = np.empty((len(rows), self.wide), dtype=np.float64)
        for place, position in enumerate(self.raw):
            work[:, place] = _numbers_at(rows, position)
        for step in self.steps:
            work[:, step.place] = step.compute(rows, work)
        return work

    def _write_fields(self, rows: ByColumn, work: Matrix, matrix: Matrix) -> None:
        """The same for rows that are kept column by column."""
        for category in self.categories:
            codes = category.read_field(rows, work)
            if category.indicator:
                known = np.flatnonzero(codes >= 0)
                matrix[known, category.start + codes[known]] = 1.0
            else:
                matrix[:, category.start] = codes

    def _write(self, rows: Sequence[Row], work: Matrix, matrix: Matrix) -> None:
        """Categories into a matrix of zeros."""
        ones: list[int] = []
        for category in self.categories:
            codes = category.read(rows, work)
            if not category.indicator:
                matrix[:, category.start] = codes
            elif len(codes) == 1:
                ones += [category.start + code for code in codes if code >= 0]
            else:
                bases = range(category.start, len(rows) * self.width, self.width)
                ones += [base + code for base, code in zip(bases, codes, strict=True) if code >= 0]
        if ones:
            matrix.put(ones, 1.0)


def _numbers_at(rows: Sequence[Row], position: int) -> Any:
    return rows.fields[position].values if type(rows) is ByColumn else [row[position] for row in rows]


def compile_encoder(pipeline: "Pipeline") -> Encoder:
    """The preprocessing of a fitted pipeline. Raises NotCompilable where a step is none that is known here."""
    read, derive, encode = _known_steps(pipeline)
    raw = [i for i, kind in enumerate(read.types.values()) if kind in ("integer", "number", "boolean")]
    slots = {name: _slot(i, kind, raw) for i, (name, kind) in enumerate(read.types.items())}
    steps = compile_steps(derive, slots, len(raw))
    return Encoder(
        raw=tuple(raw),
        wide=len(raw) + len(steps),
        steps=steps,
        numeric=np.array([_place(slots, name) for name in encode.numeric], dtype=np.intp),
        scale=None if encode.encoding == "native" else Scale(encode.fill_, encode.center_, encode.scale_),
        categories=tuple(_categories(encode, slots)),
        width=len(encode.numeric) + encode.categories_.width,
        unknown=encode.unknown_ if encode.encoding == "native" and encode.unknown_.any() else None,
        dtype=np.float64 if "widen" in pipeline.named_steps else np.float32,
    )


def _known_steps(pipeline: "Pipeline") -> tuple[Any, Any, Any]:
    """Read, derive and encode; anything else between them and the model is not known."""
    from evergreen.features.derive import DeriveColumns
    from evergreen.features.encode import EncodeColumns, Widen
    from evergreen.features.read import CanonicalFrame

    known = {"read": CanonicalFrame, "derive": DeriveColumns, "encode": EncodeColumns, "widen": Widen}
    names = list(pipeline.named_steps)
    if names[:-1] not in (["read", "derive", "encode"], ["read", "derive", "encode", "widen"]):
        raise NotCompilable(f"its steps are {', '.join(names)}")
    for name in names[:-1]:
        if type(pipeline[name]) is not known[name]:
            raise NotCompilable(f"its step {name} is a {type(pipeline[name]).__name__}")
    return pipeline["read"], pipeline["derive"], pipeline["encode"]


def _slot(position: int, kind: str, raw: list[int]) -> Slot:
    return Slot(kind, position, raw.index(position) if position in raw else None)


def _place(slots: dict[str, Slot], name: str) -> int:
    place = slots[name].place
    if place is None:
        raise NotCompilable(f"{name} is a {slots[name].kind} among the numeric features")
    return place


def _categories(encode: Any, slots: dict[str, Slot]) -> list[Category]:
    encoder = encode.categories_
    found, start = [], len(encode.numeric)
    indicator = encoder.encode == "one_hot"
    unseen = math.nan if encoder.impute == "none" else -1
    for name, codes, missing, names in zip(
        encoder.feature_names_in_, encoder.codes_, encoder.missing_, encoder.names_, strict=True
    ):
        slot = slots[name]
        null = unseen if missing < 0 else missing
        if slot.kind == "datetime":
            raise NotCompilable(f"{name} is a datetime among the categories")
        found.append(Category(slot, lookup_of(codes, unseen, null, numbers=slot.place is not None), start, indicator))
        start += len(names) if indicator else 1
    return found
