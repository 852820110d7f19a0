"""The spec's column rules over rows that come in chunks, and not all at once."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evergreen.checks import Check
from evergreen.validation.columns import judge_rule, measure
from evergreen.validation.rules import FIRST, Breach, ColumnRule

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Tally:
    """What is known of a rule after some chunks; `measured` as its check would say of them all."""

    found: Breach
    measured: float | None = None

    def add(self, rule: ColumnRule, values: "pd.Series") -> "Tally":
        """The same after one more chunk of the column."""
        before, found = self.found, rule.breach(values)
        later = tuple((before.rows + row, value) for row, value in found.first)
        both = Breach(before.count + found.count, before.rows + found.rows, (*before.first, *later)[:FIRST])
        return Tally(both, _measured(rule, self.measured, measure(rule, values, found)))


def check_chunks(rules: Sequence[ColumnRule], chunks: "Iterable[pd.DataFrame]") -> Iterator[Check]:
    """The checks that `check_rule` would give of all chunks put together. Not for `unique`, which no chunk can tell."""
    tallies = {rule: Tally(Breach(0, 0)) for rule in rules}
    for chunk in chunks:
        tallies = {rule: tally.add(rule, chunk[rule.column]) for rule, tally in tallies.items()}
    yield from (judge_rule(rule, tally.found, tally.measured) for rule, tally in tallies.items())


def _measured(rule: ColumnRule, before: float | None, now: float | None) -> float | None:
    if before is None or now is None:
        return now if before is None else before
    return {"min": min, "max": max}.get(rule.kind, lambda one, other: one + other)(before, now)
