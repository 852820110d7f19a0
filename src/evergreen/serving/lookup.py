"""What categories stand for, by value, as the fitted encoders say it by text."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evergreen.features.categories import category_text


@dataclass(frozen=True)
class Lookup:
    """Values to numbers: `unseen` for one that is not there, `null` for a missing one."""

    table: Mapping[Any, Any]
    unseen: Any
    null: Any
    numbers: bool

    def read(self, values: Sequence[Any]) -> list[Any]:
        """One number a value."""
        get, unseen, null = self.table.get, self.unseen, self.null
        if self.numbers:
            # Only a NaN is not equal to itself.
            return [get(value, unseen) if value == value else null for value in values]  # noqa: PLR0124
        return [get(value, unseen) for value in values]


def lookup_of(codes: Mapping[str, Any], unseen: Any, null: Any, *, numbers: bool) -> Lookup:
    """The lookup of texts, or of the numbers that are written as those texts.

    >>> lookup_of({"3": 0, "x": 1}, -1, 7, numbers=True).read([3.0, 4.0, float("nan")])
    [0, -1, 7]
    """
    if not numbers:
        return Lookup({**codes, None: null}, unseen, null, False)
    table = {number: code for text, code in codes.items() if (number := _number(text)) is not None}
    return Lookup(table, unseen, null, True)


def _number(text: str) -> float | None:
    """The number that training wrote as this text; None where it wrote none so."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if not math.isnan(number) and category_text(number) == text else None
