"""What an earlier decision on the same training says to a run that asks again."""

from evergreen.gate.decision import DecisionKind
from evergreen.registry.smoke import NAME as SMOKE_TEST
from evergreen.stages.reigns import read_reigns, rolled_back
from evergreen.stages.run import Run
from evergreen.store.entry import Cause, LedgerEntry
from evergreen.store.ledger import Ledger

_SAME = "the same data, spec, code and environment"


def known_answer(entry: LedgerEntry, run: Run, ledger: Ledger) -> str | None:
    """Why a run need not train: the sentence for its SKIP; None where the earlier decision does not answer it.

    An answer has judged a challenger by the same rules. What failed its smoke test may have met a bad moment, and is
    tried again.
    """
    failed_smoke = any(check.name == SMOKE_TEST and not check.passed for check in entry.checks)
    if entry.spec_digest != run.spec.digest or all(check.stage for check in entry.checks) or failed_smoke:
        return None
    if entry.kind is DecisionKind.PROMOTE:
        return _promoted(entry, run, ledger)
    if entry.kind is DecisionKind.REJECT and entry.cause is Cause.APPROVAL:
        # A person's word on this very model holds, whoever is champion meanwhile.
        return f"{_SAME} were decided on before: decision {entry.id}, {entry.reasons[0]}; force to train it again"
    if entry.champion_before != (run.champion.version if run.champion else None):
        return None
    return _rejected(entry) if entry.kind is DecisionKind.REJECT else _held(entry, ledger)


def _promoted(entry: LedgerEntry, run: Run, ledger: Ledger) -> str | None:
    """A promotion has to have had its effect."""
    reigns = read_reigns(ledger, entry.model)
    if run.champion is None or entry.id not in [reign.decision.id for reign in reigns]:
        return None
    known = f"{_SAME} were decided on before: decision {entry.id}, {entry.kind}, version {entry.version}"
    undone = rolled_back(entry.version or 0, reigns)
    if undone is None:
        return known
    by = f"{undone.reasons[0]} (decision {undone.id} of {undone.decided_at:%Y-%m-%d})"
    return f"{known}, which was {by}; force to try again"


def _rejected(entry: LedgerEntry) -> str:
    known = f"{_SAME} were decided on before: decision {entry.id}, {entry.kind}"
    if entry.cause is Cause.TIMEOUT:
        return f"{known}, {entry.reasons[0]}; force to ask again"
    return f"{known}, no version"


def _held(entry: LedgerEntry, ledger: Ledger) -> str | None:
    # A promotion that was withdrawn is tried again; a challenger that nobody can approve any more is asked for anew.
    stale = entry.cause is Cause.RECONCILE or entry.fence not in (None, ledger.fence(entry.model))
    if stale or entry.id not in [e.id for e in ledger.pending(entry.model)]:
        return None
    return f"{_SAME} were decided on before: decision {entry.id} waits for a person; evergreen approve {entry.id}"
