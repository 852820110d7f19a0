"""The champion's reference, boiled down to what drift and validation ask of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from evergreen.drift.values import NUMERIC, count_labels, count_numbers, read_numbers
from evergreen.errors import IntegrityError
from evergreen.spec.columns import ColumnType

VERSION = 1
# Up to here every distinct number is kept; above, about a thousand quantiles stand for them.
EXACT_VALUES = 256
QUANTILES = 1000
# A value rarer than this, or beyond the hundred most frequent, is no point mass.
TOP_SHARE = 0.001
TOP_VALUES = 100


@dataclass(frozen=True)
class ColumnProfile:
    """One column of the reference.

    `values` are labels, or numbers in ascending order; `counts[i]` counts the rows above `values[i-1]` and up to
    `values[i]`. `means` holds the mean of each such bin where the values are quantiles; it is empty where they are
    all there are. `top` has the most frequent values with their shares of all rows, nulls included in the whole.
    `std` is that of the finite values.
    """

    type: ColumnType
    rows: int
    nulls: int
    values: tuple[str | float, ...] = ()
    counts: tuple[int, ...] = ()
    means: tuple[float, ...] = ()
    std: float = 0.0
    top: Mapping[str | float, float] = field(default_factory=dict)

    @property
    def known(self) -> int:
        """Rows that are not null."""
        return self.rows - self.nulls

    @property
    def null_share(self) -> float:
        """Share of null rows; 0 of an empty column."""
        return self.nulls / self.rows if self.rows else 0.0

    @property
    def exact(self) -> bool:
        """True where `values` are all values there are."""
        return not self.means

    @property
    def numeric(self) -> bool:
        """True where `values` are numbers."""
        return self.type in NUMERIC


@dataclass(frozen=True)
class Profile:
    """Every column of the reference that can be compared; `rows` is the reference's length."""

    rows: int
    columns: Mapping[str, ColumnProfile]

    def shares(self, column: str) -> Mapping[str | float, float]:
        """Values with their shares of all rows: all values where they are known, else the most frequent ones."""
        found = self.columns[column]
        if not found.exact:
            return found.top
        return {v: c / found.rows for v, c in zip(found.values, found.counts, strict=True)}

    def to_json(self) -> str:
        """Text that `from_json` reads back without loss; equal profiles give equal text."""
        columns = {name: _to_plain(column) for name, column in sorted(self.columns.items())}
        return json.dumps({"version": VERSION, "rows": self.rows, "columns": columns}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Profile":
        """The inverse of `to_json`.

        Raises:
            IntegrityError: The text is no profile, or one that this version does not read.
        """
        try:
            stored = json.loads(text)
            if stored["version"] != VERSION:
                raise IntegrityError(
                    f"the reference's profile has version {stored['version']}, this release reads {VERSION}; "
                    "train the champion again, or use the release that wrote it"
                )
            return cls(stored["rows"], {name: _from_plain(column) for name, column in stored["columns"].items()})
        except (KeyError, TypeError, ValueError) as error:
            raise IntegrityError(
                f"the reference's profile cannot be read ({error!r}); train the champion again"
            ) from error


def build_profile(frame: pd.DataFrame, types: Mapping[str, ColumnType]) -> Profile:
    """The profile of a reference sample.

    Datetimes, columns that the frame does not have, and columns that cannot be read as their type are left out:
    of those nothing can be said later, and the assessment says so.
    """
    columns = {}
    for name, kind in types.items():
        if kind == "datetime" or list(frame.columns).count(name) != 1:
            continue
        try:
            columns[name] = _profile_column(frame[name], kind)
        except ValueError:
            continue
    return Profile(len(frame), columns)


def _profile_column(column: pd.Series, kind: ColumnType) -> ColumnProfile:
    if kind in NUMERIC:
        return _profile_numbers(read_numbers(column), kind)
    counts = count_labels(column)
    rows, known = len(column), sum(counts.values())
    return ColumnProfile(kind, rows, rows - known, tuple(counts), tuple(counts.values()), top=_top(counts, rows))


def _profile_numbers(values: np.ndarray, kind: ColumnType) -> ColumnProfile:
    distinct, counts = count_numbers(values)
    finite = _bounded(values[np.isfinite(values)])
    edges = np.arange(len(distinct)) if len(distinct) <= EXACT_VALUES else _edge_positions(counts)
    starts = np.append(0, edges[:-1] + 1) if len(edges) else edges
    return ColumnProfile(
        kind,
        rows=len(values),
        nulls=int(np.isnan(values).sum()),
        values=tuple(distinct[edges].tolist()),
        counts=tuple(np.add.reduceat(counts, starts).tolist()) if len(edges) else (),
        means=_bin_means(distinct, counts, starts) if len(edges) < len(distinct) else (),
        std=float(finite.std()) if len(finite) else 0.0,
        top=_top(_frequent(distinct, counts, len(values)), len(values)),
    )


def _edge_positions(counts: np.ndarray) -> np.ndarray:
    """Positions of the distinct values that bound the bins.

    A value with more rows than a bin should have stands alone: its predecessor is an edge too, so that a mass that
    moves off it by any distance leaves its bin.
    """
    total = counts.sum()
    reached = np.searchsorted(counts.cumsum(), np.arange(1, QUANTILES + 1) * total / QUANTILES)
    heavy = np.flatnonzero(counts > total / QUANTILES)
    edges = np.concatenate([[0], reached, heavy, heavy - 1, [len(counts) - 1]])
    return np.unique(edges[(edges >= 0) & (edges < len(counts))])


def _bin_means(distinct: np.ndarray, counts: np.ndarray, starts: np.ndarray) -> tuple[float, ...]:
    sums = np.add.reduceat(_bounded(distinct) * counts, starts)
    return tuple((sums / np.add.reduceat(counts, starts)).tolist())


def _bounded(values: np.ndarray) -> np.ndarray:
    """Small enough for a sum of squares to be finite."""
    return np.clip(values, -1e100, 1e100)


def _frequent(distinct: np.ndarray, counts: np.ndarray, rows: int) -> dict[float, int]:
    """The few values that can be point masses: as Python objects, all of them would take more room than the column."""
    frequent = counts >= TOP_SHARE * rows
    return dict(zip(distinct[frequent].tolist(), counts[frequent].tolist(), strict=True))


def _top(counts: Mapping[Any, int], rows: int) -> dict[str | float, float]:
    frequent = [(value, count / rows) for value, count in counts.items() if count >= TOP_SHARE * rows]
    return dict(sorted(frequent, key=lambda item: (-item[1], item[0]))[:TOP_VALUES])


def _to_plain(column: ColumnProfile) -> dict[str, Any]:
    return {
        "type": column.type,
        "rows": column.rows,
        "nulls": column.nulls,
        "values": [_plain_value(v) for v in column.values],
        "counts": column.counts,
        "means": column.means,
        "std": column.std,
        # Pairs: JSON's keys are texts only.
        "top": [[_plain_value(v), share] for v, share in column.top.items()],
    }


def _from_plain(stored: Mapping[str, Any]) -> ColumnProfile:
    read = float if stored["type"] in NUMERIC else str
    return ColumnProfile(
        stored["type"],
        rows=stored["rows"],
        nulls=stored["nulls"],
        values=tuple(read(v) for v in stored["values"]),
        counts=tuple(stored["counts"]),
        means=tuple(stored["means"]),
        std=stored["std"],
        top={read(v): share for v, share in stored["top"]},
    )


def _plain_value(value: str | float) -> str | float:
    """JSON has no infinity; its text is read back by `float`."""
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value
