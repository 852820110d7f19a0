"""Finish what a killed run decided but did not see through."""

from datetime import datetime
from typing import Protocol

from evergreen.store.entry import LedgerEntry
from evergreen.store.ledger import Ledger


class Promoter(Protocol):
    """What reconciling needs of a registry."""

    def champion_version(self, model: str) -> int | None:
        """The version that is champion now; None only where there is certainly none."""

    def promote(self, model: str, version: int, expected_champion: int | None) -> None:
        """Make a version champion if the champion is still the expected one; else raise."""


def reconcile(ledger: Ledger, registry: Promoter, model: str, now: datetime) -> list[str]:
    """Bring alias and champion history in line with the PROMOTE decisions that nobody confirmed, oldest first.

    Returns a sentence for each of them. Where the registry or the store does not answer, their errors pass: the next
    run tries again.
    """
    return [_finish(ledger, registry, entry, now) for entry in ledger.unfinished(model)]


def _finish(ledger: Ledger, registry: Promoter, entry: LedgerEntry, now: datetime) -> str:
    decision, version = entry.id, entry.champion_after
    if decision is None or version is None:
        return f"decision {decision} promotes no version; left as it is"
    current = registry.champion_version(entry.model)
    if current not in (version, entry.champion_before):
        expected = f"version {entry.champion_before}" if entry.champion_before else "no champion"
        return (
            f"decision {decision} wanted version {version} of {entry.model} in place of {expected}, "
            f"but the champion is {f'version {current}' if current else 'gone'}; left for a person"
        )
    if current != version:
        registry.promote(entry.model, version, entry.champion_before)
    ledger.crown(decision, entry.model, version, now)
    done = "was champion already" if current == version else "was promoted"
    return f"decision {decision} is finished: version {version} of {entry.model} {done}"
