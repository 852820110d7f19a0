"""Declared column rules, compiled once and applied to any canonical frame: a snapshot, or a single request.

pandera's checks decide which values break a rule. They are called one by one on a column instead of through a
schema: over 1,000,000 × 31 rows that costs 0.1-0.3 s CPU at any number of failures, while a lazy schema builds
a table of every failing value (21 s and 2.8 GB when a fifth of them fails).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from evergreen.spec.columns import ColumnRules, TableRules

if TYPE_CHECKING:
    import pandas as pd

FIRST = 3

Kind = Literal["min", "max", "allowed", "unique", "max_null_share"]


@dataclass(frozen=True)
class Breach:
    """Rows that break a rule: how many, of how many, and the first positions (from 0) with their values."""

    count: int
    rows: int
    first: tuple[tuple[int, Any], ...] = ()


@dataclass(frozen=True)
class ColumnRule:
    """One declared fact about one column.

    `bound` is the declared value: a number, the allowed categories, or True for `unique`. A rule that is not
    `strict` warns. All kinds but `unique` and `max_null_share` judge each row by itself, so they hold for a
    single request as well.
    """

    column: str
    kind: Kind
    bound: Any
    strict: bool = True

    @property
    def name(self) -> str:
        """As checks are called: `column price: min`."""
        return f"column {self.column}: {self.kind}"

    @property
    def by_row(self) -> bool:
        """True where one row is enough to judge it."""
        return self.kind in ("min", "max", "allowed")

    def broken(self, values: "pd.Series") -> np.ndarray:
        """One boolean a row: does it break the rule? Nulls break `max_null_share` alone."""
        if self.kind == "max_null_share":
            return values.isna().to_numpy()
        if self.kind == "unique":
            return (values.duplicated() & values.notna()).to_numpy()
        known = values.notna().to_numpy()
        broken = np.zeros(len(values), dtype=bool)
        broken[known] = ~np.asarray(_check(self)(values[known]).check_output, dtype=bool)
        return broken

    def breach(self, values: "pd.Series") -> Breach:
        """The rows of a column that break the rule."""
        if self._holds(values):
            return Breach(0, len(values))
        return breach(values, self.broken(values))

    def _holds(self, values: "pd.Series") -> bool:
        """True where the extremes, or the list of categories, say that no row can break the rule; most often so."""
        if self.kind == "min":
            return bool(values.min() >= self.bound)
        if self.kind == "max":
            return bool(values.max() <= self.bound)
        return self.kind == "allowed" and values.dtype == "category" and set(values.cat.categories) <= set(self.bound)


def breach(values: "pd.Series", broken: np.ndarray) -> Breach:
    """Count the broken rows and show the first of them."""
    positions = np.flatnonzero(broken)
    first = tuple((int(row), values.iloc[row]) for row in positions[:FIRST])
    return Breach(len(positions), len(values), first)


def compile_rules(table: TableRules) -> tuple[ColumnRule, ...]:
    """Every declared column rule, in the order of the spec.

    >>> table = TableRules(columns={"price": {"type": "number", "min": 0}})
    >>> [rule.name for rule in compile_rules(table)]
    ['column price: min']
    """
    return tuple(rule for name, rules in table.columns.items() for rule in _of_column(name, rules))


def _of_column(name: str, rules: ColumnRules) -> Iterator[ColumnRule]:
    if rules.max_null_share is not None:
        yield ColumnRule(name, "max_null_share", rules.max_null_share)
    if rules.min is not None:
        yield ColumnRule(name, "min", rules.min)
    if rules.max is not None:
        yield ColumnRule(name, "max", rules.max)
    if rules.allowed is not None:
        yield ColumnRule(name, "allowed", rules.allowed, strict=rules.unseen == "fail")
    if rules.unique:
        yield ColumnRule(name, "unique", True)


def _check(rule: ColumnRule) -> Any:
    import pandera.pandas as pa

    checks = {"min": pa.Check.ge, "max": pa.Check.le, "allowed": pa.Check.isin}
    return checks[rule.kind](rule.bound)
