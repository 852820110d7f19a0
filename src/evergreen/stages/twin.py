"""What an earlier decision on the same training says to a run that asks again."""

from evergreen.errors import EvergreenError, UnavailableError
from evergreen.gate.decision import DecisionKind
from evergreen.registry.candidate import fetch_candidate
from evergreen.registry.complete import damaged_champion, find_damage, say_passed_over
from evergreen.registry.smoke import NAME as SMOKE_TEST
from evergreen.registry.tracking import Tracking
from evergreen.registry.versions import Registry
from evergreen.stages.reigns import read_reigns, rolled_back
from evergreen.stages.run import Run, reached
from evergreen.store.canary import Canaries
from evergreen.store.entry import Cause, LedgerEntry
from evergreen.store.ledger import Ledger
from evergreen.store.pruned import PrunedLog

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


def find_loss(entry: LedgerEntry, champion: int | None, tracking: Tracking, ledger: Ledger) -> str:
    """Why the model of an answer cannot be taken again, in a sentence; empty where it can, or where none is to be.

    A judgement stands without its model: what was rejected or rolled back is not trained anew because it is gone.
    Raises IntegrityError where it is the champion that is not complete, UnavailableError where MLflow does not answer.
    """
    if entry.kind not in (DecisionKind.PROMOTE, DecisionKind.HOLD):
        return ""
    if entry.version is None:
        lost = _lost_candidate(entry, tracking)
        challenger = f"the challenger of decision {entry.id} is of the same training"
        return f"{challenger}, and is passed over: {lost}" if lost else ""
    if rolled_back(entry.version, read_reigns(ledger, entry.model)) is not None:
        return ""
    damage = _damage(entry, Registry(tracking), ledger)
    if damage and champion == entry.version:
        raise damaged_champion(entry.model, entry.version, damage)
    return say_passed_over(entry.version, damage) if damage else ""


def _damage(entry: LedgerEntry, registry: Registry, ledger: Ledger) -> str:
    number = reached(entry.version)
    if note := PrunedLog(ledger.url).version(entry.model, number):
        return f"was {note.said}"
    if number not in registry.versions(entry.model):
        return "is gone from the registry"
    found = registry.version(entry.model, number)
    # Decisions of an older Evergreen do not name the artifact.
    return find_damage(registry.tracking, found.run_id, found.source, entry.model_digest or found.digest)


def _lost_candidate(entry: LedgerEntry, tracking: Tracking) -> str:
    run_id = reached(entry.mlflow_run)
    try:
        logged = fetch_candidate(tracking, run_id).logged
    except UnavailableError:
        raise
    except EvergreenError as error:
        return str(error).partition(";")[0]
    damage = find_damage(tracking, run_id, logged.uri, reached(entry.model_digest))
    return damage and f"it {damage}"


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
    if entry.cause is Cause.CANARY:
        return f"{known}, {'; '.join(entry.reasons)}; force to try again"
    return f"{known}, no version"


def _held(entry: LedgerEntry, ledger: Ledger) -> str | None:
    # A promotion that was withdrawn is tried again; a challenger that nobody can approve any more is asked for anew.
    stale = entry.cause is Cause.RECONCILE or entry.fence not in (None, ledger.fence(entry.model))
    if stale or entry.id not in [e.id for e in ledger.pending(entry.model)]:
        return None
    known = f"{_SAME} were decided on before: decision {entry.id}"
    if entry.id in [trial.decision_id for trial in Canaries(ledger.url).open(entry.model)]:
        return f"{known} is tried on real requests; evergreen canary {entry.model}"
    return f"{known} waits for a person; evergreen approve {entry.id}"
