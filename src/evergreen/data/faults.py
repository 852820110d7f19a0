"""Count values that could not be read, with the first few of them."""

from collections.abc import Mapping, Sequence
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


def to_plain(faults: Sequence[Fault]) -> list[dict[str, Any]]:
    """Faults as JSON values."""
    return [{"column": f.column, "rule": f.rule, "count": f.count, "examples": list(f.examples)} for f in faults]


def from_plain(values: Sequence[Mapping[str, Any]]) -> tuple[Fault, ...]:
    """The inverse of `to_plain`.

    >>> faults = (Fault("price", "type", 1, ("row 3: 'abc'",)),)
    >>> from_plain(to_plain(faults)) == faults
    True
    """
    return tuple(Fault(v["column"], v["rule"], v["count"], tuple(v["examples"])) for v in values)


def _shown(value: Any) -> str:
    if value is None:
        return "missing"
    # A value may be a whole document; an example is a hint.
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
