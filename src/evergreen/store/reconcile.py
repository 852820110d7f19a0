"""Finish what a killed run decided but did not see through."""

from dataclasses import replace
from datetime import datetime
from typing import Protocol

from evergreen.errors import PinnedChampion
from evergreen.gate.decision import DecisionKind
from evergreen.store.entry import Cause, LedgerEntry
from evergreen.store.ledger import Ledger


class Promoter(Protocol):
    """What reconciling needs of a registry."""

    def champion_version(self, model: str) -> int | None:
        """The version that is champion now; None only where there is certainly none."""

    def versions(self, model: str) -> tuple[int, ...]:
        """All versions that there are."""

    def promote(self, model: str, version: int, expected_champion: int | None, *, despite_pin: bool = False) -> None:
        """Make a version champion if the champion is still the expected one, and not pinned; else raise."""


def reconcile(ledger: Ledger, registry: Promoter, model: str, now: datetime) -> list[str]:
    """Finish or withdraw the PROMOTE decisions that nobody confirmed, oldest first; one line on each.

    A registry that does not answer raises, and the next run tries again.
    """
    return [_settle(ledger, registry, entry, now) for entry in ledger.unfinished(model)]


def withdrawn(entry: LedgerEntry, why: str, now: datetime) -> LedgerEntry:
    """The decision that takes back one which had no effect: the version is held, the champion stays."""
    return replace(
        entry,
        id=None,
        kind=DecisionKind.HOLD,
        reasons=(f"decision {entry.id} is withdrawn: {why}",),
        decided_at=now,
        champion_after=entry.champion_before,
        cause=Cause.RECONCILE,
        # What the promotion had answered stays answered by it.
        resolves=None,
    )


def _settle(ledger: Ledger, registry: Promoter, entry: LedgerEntry, now: datetime) -> str:
    decision, version = entry.id, entry.champion_after
    if decision is None or version is None:
        return f"decision {decision} promotes no version; left as it is"
    current = registry.champion_version(entry.model)
    if current == version:
        # The alias was moved right after the decision: that is since when the version was served.
        ledger.crown(decision, entry.model, version, entry.decided_at)
        return f"decision {decision} is finished: version {version} of {entry.model} was champion already"
    problem = _why_not(registry, entry, version, current) or _why_late(ledger, entry)
    if problem is not None:
        ledger.record(withdrawn(entry, problem, now))
        return f"decision {decision} is withdrawn: {problem}"
    try:
        # A person who rolls back knows of the pin, and may have set it for this very rollback.
        registry.promote(entry.model, version, entry.champion_before, despite_pin=entry.cause is Cause.ROLLBACK)
    except PinnedChampion as error:
        ledger.record(withdrawn(entry, str(error), now))
        return f"decision {decision} is withdrawn: {error}"
    ledger.crown(decision, entry.model, version, now)
    return f"decision {decision} is finished: version {version} of {entry.model} was promoted"


def _why_not(registry: Promoter, entry: LedgerEntry, version: int, current: int | None) -> str | None:
    if current != entry.champion_before:
        expected = f"version {entry.champion_before}" if entry.champion_before else "no champion"
        now = f"version {current}" if current else "gone"
        return f"version {version} of {entry.model} was to follow {expected}, but the champion is {now}"
    if version not in registry.versions(entry.model):
        return f"version {version} of {entry.model} is gone from the registry"
    return None


def _why_late(ledger: Ledger, entry: LedgerEntry) -> str | None:
    if entry.fence is None or ledger.fence(entry.model) == entry.fence:
        return None
    return f"another version of {entry.model} was champion since it was measured"
