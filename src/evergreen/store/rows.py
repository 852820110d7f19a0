"""Between the ledger's types and its rows."""

import math
from dataclasses import fields
from typing import Any

import sqlalchemy as sa

from evergreen.checks import Check
from evergreen.gate.decision import DecisionKind, Reason
from evergreen.store.entry import Cause, Crown, LedgerEntry

_PLAIN = frozenset(f.name for f in fields(LedgerEntry)) - {"kind", "reasons", "checks", "reason", "cause", "id"}


def to_row(entry: LedgerEntry) -> dict[str, Any]:
    """The columns of an entry without its id, which the database gives."""
    return {name: getattr(entry, name) for name in _PLAIN} | {
        "kind": entry.kind.value,
        "reason": entry.reason.value,
        "cause": entry.cause.value,
        "reasons": list(entry.reasons),
        "checks": [_encode(check) for check in entry.checks],
    }


def to_entry(row: sa.RowMapping) -> LedgerEntry:
    """The inverse of `to_row`."""
    return LedgerEntry(
        **{name: row[name] for name in _PLAIN},
        id=row["id"],
        kind=DecisionKind(row["kind"]),
        reason=Reason(row["reason"]),
        cause=Cause(row["cause"]),
        reasons=tuple(row["reasons"]),
        checks=tuple(_decode(check) for check in row["checks"]),
    )


def to_crown(row: sa.RowMapping) -> Crown:
    """A row of the champion history."""
    return Crown(row["decision_id"], row["model"], row["version"], row["at"])


def _encode(check: Check) -> dict[str, Any]:
    # JSON has no NaN and no infinity, and PostgreSQL refuses them: they travel as text.
    value = check.value
    return {**check.to_dict(), "value": value if value is None or math.isfinite(value) else str(value)}


def _decode(values: dict[str, Any]) -> Check:
    value = values["value"]
    return Check.from_dict({**values, "value": float(value) if isinstance(value, str) else value})
