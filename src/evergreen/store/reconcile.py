"""Finish what a killed run decided but did not see through."""

from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from evergreen.errors import PinnedChampion, StaleChampion
from evergreen.store.entry import Cause, LedgerEntry
from evergreen.store.ledger import Ledger
from evergreen.store.pins import Pins


class Promoter(Protocol):
    """What reconciling needs of a registry."""

    def champion_version(self, model: str) -> int | None:
        """The version that is champion now; None only where there is certainly none."""

    def versions(self, model: str) -> tuple[int, ...]:
        """All versions that there are."""

    def turn(self, model: str) -> AbstractContextManager[None]:
        """Wait until nobody moves the model's alias, and keep others from it meanwhile."""

    def promote(
        self,
        model: str,
        version: int,
        expected_champion: int | None,
        *,
        despite_pin: bool = False,
        fence: int | None = None,
    ) -> None:
        """In the turn, make a version champion if the champion is the expected one, and not pinned; else raise."""


def reconcile(ledger: Ledger, registry: Promoter, model: str, now: datetime) -> list[str]:
    """Finish or withdraw the PROMOTE decisions that nobody confirmed, oldest first; one line on each.

    A registry that does not answer raises, and the next run tries again.
    """
    if not ledger.unfinished(model):
        return []
    lines = []
    with registry.turn(model):
        # Asked again now that nobody else is at it, and before each one, as the one before may have settled it.
        for entry in ledger.unfinished(model):
            if entry in ledger.unfinished(model):
                lines.append(give_effect(ledger, registry, entry, now))
    return lines


def crown_served(ledger: Ledger, registry: Promoter, model: str, now: datetime, but: int | None = None) -> str:
    """In the registry's turn: put the champion that is served into the history, where its promotion was cut short
    between the two; a line on it, empty where the history has it. The decision `but` is left to the caller.
    """
    served, crowns = registry.champion_version(model), ledger.history(model)
    if served is None or (crowns and crowns[-1].version == served):
        return ""
    moved = [e for e in ledger.unfinished(model) if e.champion_after == served and e.id != but]
    return give_effect(ledger, registry, moved[-1], now) if moved else ""


def give_effect(ledger: Ledger, registry: Promoter, entry: LedgerEntry, now: datetime) -> str:
    """In the registry's turn: finish a promotion that has had no effect, or withdraw it; a line on which of the two."""
    version = entry.champion_after
    if version is None:
        return f"decision {entry.id} promotes no version; left as it is"
    current, problem = registry.champion_version(entry.model), _why_kept(ledger, entry)
    if current == version and problem is None:
        return _finish(ledger, registry, entry, now)
    problem = problem or _why_not(registry, entry, version, current) or _why_late(ledger, entry)
    if problem is None:
        # A person who rolls back knows of the pin, and may have set it for this very rollback.
        despite, before = entry.cause in (Cause.ROLLBACK, Cause.RESTORATION), entry.champion_before
        try:
            registry.promote(entry.model, version, before, despite_pin=despite, fence=entry.fence)
        except (PinnedChampion, StaleChampion) as error:
            # Pinned, or pruned by somebody who died before it was deleted: it cannot take effect later either.
            problem = str(error)
    if problem is not None:
        ledger.withdraw(entry, problem, now)
        return f"decision {entry.id} is withdrawn: {problem}"
    ledger.crown(_number(entry), entry.model, version, now)
    return f"decision {entry.id} is finished: version {version} of {entry.model} was promoted"


def _finish(ledger: Ledger, registry: Promoter, entry: LedgerEntry, now: datetime) -> str:
    """The history of a version that is served; alias `challenger` may still be on it."""
    version = _version(entry)
    registry.promote(entry.model, version, version, despite_pin=True)
    # The alias was moved right after the decision: that is since when the version was served.
    ledger.crown(_number(entry), entry.model, version, entry.decided_at, now)
    return f"decision {entry.id} is finished: version {version} of {entry.model} was champion already"


def _why_kept(ledger: Ledger, entry: LedgerEntry) -> str | None:
    """Nobody but a person takes a pinned champion away: not even where the alias has left it by hand."""
    pin = Pins(ledger.url).pinned(entry.model) if entry.cause is Cause.ADOPTION else None
    return None if pin is None else f"version {entry.champion_before} of {entry.model} is pinned by {pin.by}: {pin.why}"


def _why_not(registry: Promoter, entry: LedgerEntry, version: int, current: int | None) -> str | None:
    if entry.cause is Cause.ADOPTION:
        # Somebody else had moved the alias there, and moved it on: it is not for us to move it back.
        return f"alias champion of {entry.model} left version {version} before that was adopted"
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


def _number(entry: LedgerEntry) -> int:
    assert entry.id is not None, "it was read from the ledger"
    return entry.id


def _version(entry: LedgerEntry) -> int:
    assert entry.champion_after is not None, "a promotion names its version"
    return entry.champion_after
