"""How much each column counts: by the champion's permutation importance."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Weights:
    """Weights that sum to 1; `note` says where they are not the importance, and is empty where they are."""

    by_column: Mapping[str, float]
    note: str = ""

    def relative(self, column: str) -> float:
        """A column's weight beside that of the heaviest, which has 1."""
        return self.by_column[column] / max(self.by_column.values())


def weigh(columns: Sequence[str], importance: Mapping[str, float]) -> Weights:
    """Weights of some columns. An importance below zero is none: shuffling such a column does not harm.

    A column whose importance nobody measured weighs as much as the others do on average. Where no importance is known,
    or none is above zero, all weigh the same.

    >>> weigh(["a", "b", "c"], {"a": 0.75, "b": 0.25, "c": -0.01}).by_column
    {'a': 0.75, 'b': 0.25, 'c': 0.0}
    >>> weigh(["a", "b"], {}).note
    'no importance is known: all columns weigh the same'
    """
    known = {name: max(0.0, importance[name]) for name in columns if math.isfinite(importance.get(name, math.nan))}
    if not any(known.values()):
        equal = dict.fromkeys(columns, 1 / len(columns))
        return Weights(equal, "no importance is known: all columns weigh the same" if len(columns) > 1 else "")
    mean = sum(known.values()) / len(known)
    raw = {name: known.get(name, mean) for name in columns}
    total = sum(raw.values())
    missing = [name for name in columns if name not in known]
    note = f"no importance is known of {', '.join(missing)}: weighed as the mean of the others" if missing else ""
    return Weights({name: value / total for name, value in raw.items()}, note)
