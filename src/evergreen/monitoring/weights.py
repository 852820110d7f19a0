"""How much each column counts: by the champion's permutation importance."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evergreen.spec.derivation import sources
from evergreen.spec.features import Derived


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


def importance_of_all(
    importance: Mapping[str, float], derive: Sequence[Derived], time_column: str | None = None
) -> dict[str, float]:
    """The importance of raw columns, and of what is derived from them: that of the most important of its sources.

    >>> from evergreen.spec.features import Log
    >>> importance_of_all({"price": 0.2, "asked": 0.1}, [Log(name="size", kind="log", of="price")])["size"]
    0.2
    """
    found = dict(importance)
    for each in derive:
        known = [found[name] for name in sources(each, time_column) if name in found]
        if known:
            found.setdefault(each.name, max(known))
    return found
