"""What a request may look like, for documents and for the line that a start prints."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from evergreen.serving.handles import Column, Row
from evergreen.serving.rows import row_to_json

FEWEST = 5
"""So many rows have a category at least, unless the rules name it: one that fewer share may be somebody's own."""


def example_by_rules(column: Column) -> Any:
    """A value that the rules of a column allow, as JSON has it.

    >>> example_by_rules(Column("age", "integer", min=17.5)), example_by_rules(Column("paid", "boolean"))
    (18, True)
    """
    if column.type in ("integer", "number"):
        low, high = column.min, column.max
        value = low if low is not None else min(high, 1.0) if high is not None else 1.0
        if low is not None and high is not None and column.type == "number":
            value = (low + high) / 2
        return -int(-value // 1) if column.type == "integer" else value
    if column.type == "boolean":
        return True
    if column.type == "datetime":
        return datetime(2026, 1, 31, 12, tzinfo=UTC).isoformat().replace("+00:00", "Z")
    return column.allowed[0] if column.allowed else "a"


def typical_row(columns: Sequence[Column], rows: Sequence[Row], private: Collection[str] = ()) -> dict[str, Any]:
    """A request that the model takes, as JSON has it, each value as it usually is in these rows.

    Each column is looked at by itself: nobody's row is shown. Texts, `private` columns, categories that fewer than
    FEWEST rows share, and columns without a value that their rules allow have what the rules allow.

    >>> columns = (Column("price", "number"), Column("plan", "category"), Column("note", "text"))
    >>> typical_row(columns, [(1.0, "pro", "call Eva"), (9.5, "basic", "x"), (20.0, "pro", "y")] * 3)
    {'price': 9.5, 'plan': 'pro', 'note': 'a'}
    """
    return {
        column.name: _typical(column, [row[place] for row in rows])
        if column.type != "text" and column.name not in private
        else example_by_rules(column)
        for place, column in enumerate(columns)
    }


def _typical(column: Column, values: Sequence[Any]) -> Any:
    fit = [value for value in values if _fits(column, value)]
    if not fit:
        return example_by_rules(column)
    if column.type in ("category", "boolean"):
        (value, count), *_ = Counter(fit).most_common(1)
        if column.type == "category" and count < FEWEST and value not in (column.allowed or ()):
            return example_by_rules(column)
    else:
        value = sorted(fit)[(len(fit) - 1) // 2]
    return row_to_json((column,), (value,))[column.name]


def _fits(column: Column, value: Any) -> bool:
    """True for what is no null and within the rules: validation may have let a few rows pass that are not."""
    # NaN alone is not equal to itself.
    if value is None or value != value:  # noqa: PLR0124
        return False
    if column.type in ("integer", "number"):
        low, high = column.min, column.max
        return (low is None or value >= low) and (high is None or value <= high)
    return column.allowed is None or not column.strict or value in column.allowed
