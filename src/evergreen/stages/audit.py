"""Does everything that production rests on still say the same: ledger, aliases, artifacts, snapshots, tracking?"""

from dataclasses import dataclass

from evergreen.settings import Settings
from evergreen.stages.findings import Problem, find_problems, read_records
from evergreen.store.ledger import Ledger

__all__ = ["Audit", "Problem", "audit"]


@dataclass(frozen=True)
class Audit:
    """What was looked at, and what of it is wrong; `notes` are on what only looks so."""

    problems: tuple[Problem, ...]
    models: int
    decisions: int
    artifacts: int
    notes: tuple[Problem, ...] = ()

    @property
    def clean(self) -> bool:
        """True where nothing is wrong."""
        return not self.problems


def audit(settings: Settings, model: str | None = None) -> Audit:
    """Verify the chain of the ledger, and of one model or all: aliases, versions, artifacts, snapshots, runs.

    Changes nothing. Raises UnavailableError where store or registry do not answer, which says nothing about them.
    """
    ledger, snapshots = Ledger(settings.store_url), dict[str, str]()
    models = ledger.models() if model is None else (model,)
    found = [Problem("", what, "restore the store from its backup") for what in ledger.verify()]
    decisions = artifacts = 0
    for name in models:
        records = read_records(name, settings, snapshots)
        decisions += len(records.entries)
        artifacts += len(records.versions)
        found += find_problems(records)
    problems, notes = (tuple(p for p in found if p.harmless is harmless) for harmless in (False, True))
    return Audit(problems, len(models), decisions, artifacts, notes)
