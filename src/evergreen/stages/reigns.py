"""Who was champion after whom, and by which decision: what rollbacks are reckoned from."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from evergreen.store.entry import RETURNS, LedgerEntry
from evergreen.store.ledger import Ledger
from evergreen.store.standing import standing

__all__ = ["Reign", "read_reigns", "rolled_back", "standing"]


@dataclass(frozen=True)
class Reign:
    """A version became champion, `at` an aware moment, by a decision."""

    version: int
    at: datetime
    decision: LedgerEntry

    @property
    def returned(self) -> bool:
        """True where the version was gone back to."""
        return self.decision.cause in RETURNS


def read_reigns(ledger: Ledger, model: str) -> tuple[Reign, ...]:
    """Every champion a model has had, oldest first."""
    found = []
    for crown in ledger.history(model):
        decision = ledger.entry(crown.decision_id)
        assert decision is not None, "a foreign key holds every crown to its decision"
        found.append(Reign(crown.version, crown.at, decision))
    return tuple(found)


def rolled_back(version: int, reigns: Iterable[Reign]) -> LedgerEntry | None:
    """The rollback that took this version from the throne, unless it has been champion again since."""
    found = None
    for reign in reigns:
        if reign.version == version:
            found = None
        elif reign.returned and reign.decision.champion_before == version:
            found = reign.decision
    return found
