"""Which fact a decision is to people: told when it is written, or when it takes effect."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from evergreen.gate.decision import DecisionKind
from evergreen.store.entry import Cause, LedgerEntry
from evergreen.store.facts import Fact, FactKind

_WHEN_WRITTEN = {DecisionKind.HOLD: FactKind.HELD, DecisionKind.REJECT: FactKind.REJECTED}
_WHEN_CROWNED = {
    Cause.ROLLBACK: FactKind.ROLLED_BACK,
    Cause.WATCH: FactKind.ROLLED_BACK,
    Cause.ADOPTION: FactKind.ALIAS_MOVED,
    Cause.RESTORATION: FactKind.ALIAS_MOVED,
}


def fact_of_decision(entry: LedgerEntry) -> Fact | None:
    """HELD or REJECTED. None for SKIP, which nobody is told of, and for PROMOTE, which has no effect yet."""
    kind = _WHEN_WRITTEN.get(entry.kind)
    return None if kind is None else _fact(entry, kind, entry.decided_at)


def fact_of_crown(entry: LedgerEntry, at: datetime) -> Fact:
    """PROMOTED, or ROLLED_BACK where the decision went back to an earlier champion, or ALIAS_MOVED where it answers
    somebody's hand; `at` is when it took effect.
    """
    return _fact(entry, _WHEN_CROWNED.get(entry.cause, FactKind.PROMOTED), at)


def fact_of_trial(held: LedgerEntry, outcome: str, why: str, at: datetime) -> Fact:
    """REJECTED, for a held challenger whose trial ended in an outcome without any decision on it."""
    fact = _fact(replace(held, reasons=(why,)), FactKind.REJECTED, at)
    return replace(fact, key=f"canary:{held.id}", payload={**fact.payload, "cause": outcome})


def _fact(entry: LedgerEntry, kind: FactKind, at: datetime) -> Fact:
    payload: dict[str, Any] = {
        "decision": entry.id,
        "version": entry.version,
        "champion_before": entry.champion_before,
        "champion_after": entry.champion_after,
        "reasons": list(entry.reasons),
        "reason": entry.reason.value,
        "cause": entry.cause.value,
        "by": entry.decided_by,
        "as_of": entry.as_of.isoformat(),
    }
    return Fact(f"decision:{entry.id}", kind, entry.model, at, payload)
