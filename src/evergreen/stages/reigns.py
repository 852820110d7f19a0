"""Who was champion after whom, and by which decision: what rollbacks are reckoned from."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from evergreen.store.entry import Cause, LedgerEntry
from evergreen.store.ledger import Ledger


@dataclass(frozen=True)
class Reign:
    """A version became champion, `at` an aware moment, by a decision."""

    version: int
    at: datetime
    decision: LedgerEntry

    @property
    def returned(self) -> bool:
        """True where the version was gone back to."""
        return self.decision.cause is Cause.ROLLBACK


def read_reigns(ledger: Ledger, model: str) -> tuple[Reign, ...]:
    """Every champion a model has had, oldest first."""
    found = []
    for crown in ledger.history(model):
        decision = ledger.entry(crown.decision_id)
        assert decision is not None, "a foreign key holds every crown to its decision"
        found.append(Reign(crown.version, crown.at, decision))
    return tuple(found)


def standing(crowned: Iterable[tuple[int, bool]]) -> tuple[int, ...]:
    """Champions that nobody went back from, the present one last, of (version, gone back to) in order of time.

    A promotion lays its version on top of the others; a rollback takes everything off the one it went back to. So that
    two rollbacks in a row go back two champions, and not back and forth.

    >>> standing([(3, False), (4, False), (5, False), (4, True)])
    (3, 4)
    >>> standing([(3, False), (4, False), (3, True), (4, True)])
    (3, 4)
    """
    stack: list[int] = []
    for version, returned in crowned:
        if returned and version in stack:
            while stack[-1] != version:
                stack.pop()
        elif stack[-1:] != [version]:
            stack.append(version)
    return tuple(stack)


def rolled_back(version: int, reigns: Iterable[Reign]) -> LedgerEntry | None:
    """The rollback that took this version from the throne, unless it has been champion again since."""
    found = None
    for reign in reigns:
        if reign.version == version:
            found = None
        elif reign.returned and reign.decision.champion_before == version:
            found = reign.decision
    return found
