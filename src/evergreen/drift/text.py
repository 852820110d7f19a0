"""A drift result for people and for files."""

from dataclasses import asdict
from typing import Any

from evergreen.checks import Outcome
from evergreen.drift.result import ColumnDrift, DriftResult

_ORDER = {Outcome.FAIL: 0, Outcome.UNKNOWN: 1, Outcome.PASS: 2}
_WORDS = {Outcome.FAIL: "drifted", Outcome.UNKNOWN: "unknown", Outcome.PASS: "no"}


def to_markdown(result: DriftResult) -> str:
    """One line that says how much moved, then a table of all columns, the drifted ones first."""
    rows = sorted(result.columns, key=lambda c: (_ORDER[c.outcome], -(c.effect or 0.0), c.column))
    head = [
        "| column | role | drift | effect | method | score | why |",
        "| --- | --- | --- | ---: | --- | ---: | --- |",
    ]
    parts = [_summary(result), "\n".join([*head, *map(_line, rows)]) if rows else "", result.note]
    return "\n\n".join(part for part in parts if part) + "\n"


def to_dict(result: DriftResult) -> dict[str, Any]:
    """Plain values for JSON: times as ISO texts, outcomes as words."""
    values = asdict(result)
    for key in ("since", "until"):
        values[key] = values[key].isoformat() if values[key] is not None else None
    values["columns"] = [{**column, "outcome": str(column["outcome"])} for column in values["columns"]]
    return values


def _summary(result: DriftResult) -> str:
    share = "unknown" if result.share is None else f"{result.share:.0%} of inputs"
    return f"**Drift: {share}** ({result.current_rows:,} current rows against {result.reference_rows:,})"


def _line(c: ColumnDrift) -> str:
    numbers = ("–" if value is None else f"{value:.3g}" for value in (c.effect, c.score))
    effect, score = numbers
    name, why = (text.replace("|", "\\|").replace("\n", " ") for text in (c.column, c.why))
    return f"| {name} | {c.role} | {_WORDS[c.outcome]} | {effect} | {c.method} | {score} | {why} |"
