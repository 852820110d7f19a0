"""Count values that could not be read, with the first few of them."""

from collections.abc import Sequence
from typing import Any

from evergreen.data.snapshot import Fault

EXAMPLES = 5


class FaultLog:
    """Faults of one source by column and rule, in the order of its rows."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._examples: dict[tuple[str, str], list[str]] = {}
        self._hints: dict[tuple[str, str], str] = {}

    def note(self, column: str, rule: str, values: Any, rows: Any, hint: str = "") -> None:
        """Count an Arrow array of broken values; `rows` are their numbers in the source, the first row being 1."""
        key = (column, rule)
        self._counts[key] = self._counts.get(key, 0) + len(values)
        self._hints[key] = self._hints.get(key) or hint
        examples = self._examples.setdefault(key, [])
        wanted = EXAMPLES - len(examples)
        examples += [f"row {n}: {_shown(v)}" for n, v in zip(rows[:wanted], values[:wanted].to_pylist(), strict=True)]

    def faults(self) -> tuple[Fault, ...]:
        """Every fault, by column and rule."""
        keys = sorted(self._counts)
        return tuple(Fault(*key, self._counts[key], tuple(self._examples[key]), self._hints[key]) for key in keys)


def within(faults: Sequence[Fault]) -> list[dict[str, Any]]:
    """What a snapshot's file keeps of them as JSON values: those of its own rows, without their places in the source.

    >>> within((Fault("at", "time", 1, ("row 1: 'soon'",)), Fault("price", "type", 2, ("row 3: 'abc'", "row 9: '?'"))))
    [{'column': 'price', 'count': 2, 'examples': ["'abc'", "'?'"]}]
    """
    return [
        {"column": f.column, "count": f.count, "examples": [said.partition(": ")[2] for said in f.examples]}
        for f in faults
        if f.rule == "type"
    ]


def _shown(value: Any) -> str:
    if value is None:
        return "missing"
    # A value may be a whole document; an example is a hint.
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
