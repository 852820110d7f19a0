"""A held decision: is it one that can be answered, and the challenger that it holds."""

from evergreen.errors import IntegrityError, PinnedChampion, StaleChampion, UserError
from evergreen.gate.decision import DecisionKind
from evergreen.registry import provenance as tag
from evergreen.registry.candidate import Candidate, fetch_candidate
from evergreen.registry.handles import Registered
from evergreen.registry.tracking import Tracking
from evergreen.registry.versions import Registry, said_of_pin
from evergreen.stages.run import reached
from evergreen.store.entry import LedgerEntry
from evergreen.store.ledger import Ledger


def find_decision(decision_id: int, ledger: Ledger) -> LedgerEntry:
    """The decision with this number. Raises UserError where there is none."""
    entry = ledger.entry(decision_id)
    if entry is None:
        raise UserError(f"there is no decision {decision_id}; evergreen status shows what waits for a person")
    return entry


def require_pending(held: LedgerEntry, ledger: Ledger) -> None:
    """Raise UserError, with what to do instead, unless the decision holds a challenger that waits for an answer."""
    again = f"evergreen run {held.model}"
    if held.kind is not DecisionKind.HOLD:
        raise UserError(f"decision {held.id} is {held.kind}, and waits for nobody; only a HOLD can be answered")
    if held.mlflow_run is None or held.model_digest is None:
        said = "; ".join(held.reasons)
        raise UserError(
            f"decision {held.id} holds no challenger: its run ended before anything was trained ({said}). Put the data "
            f"right, or the bound in the spec if the data is right, then: {again}"
        )
    if held.id in [entry.id for entry in ledger.pending(held.model)]:
        return
    later = ledger.overtaker(held)
    by = f"decision {later.id} ({later.kind}) of {later.decided_at:%Y-%m-%d %H:%M} UTC" if later else "a later one"
    raise UserError(f"decision {held.id} was overtaken by {by}, which knew newer data; answer that one, or: {again}")


def require_promotable(held: LedgerEntry, registry: Registry, ledger: Ledger) -> None:
    """Raise StaleChampion unless the champion is the one that was compared with, and has been it ever since, and
    PinnedChampion where it is pinned.
    """
    current = registry.champion_version(held.model)
    then, anew = _name(held.champion_before), f"Measure it anew: evergreen run {held.model} --force"
    if current != held.champion_before:
        raise StaleChampion(
            f"decision {held.id} compared its challenger with {then}, but {_name(current)} is champion of {held.model} "
            f"now: nobody knows which of the two is better. {anew}"
        )
    if has_left(held, ledger):
        raise StaleChampion(f"the champion of {held.model} has changed since decision {held.id}, and back. {anew}")
    if registry.store is not None and (pinned := said_of_pin(registry.store, held.model)):
        raise PinnedChampion(f"{pinned}. To approve decision {held.id}, first: evergreen unpin {held.model} --why …")


def has_left(held: LedgerEntry, ledger: Ledger) -> bool:
    """True where another version became champion since the challenger was measured, whichever is champion now."""
    return held.fence not in (None, ledger.fence(held.model))


def register_held(held: LedgerEntry, tracking: Tracking, registry: Registry) -> Registered:
    """The challenger as a registered version, with the digest that its artifact must have; registered if it is not.

    Raises IntegrityError where what was kept of it is not what the ledger says.
    """
    digest = reached(held.model_digest)
    if held.version is not None:
        return Registered(held.model, held.version, registry.version(held.model, held.version).source, digest)
    run_id = reached(held.mlflow_run)
    candidate = fetch_candidate(tracking, run_id)
    _require_own(candidate, held)
    return registry.register(held.model, run_id, candidate.logged, candidate.tags, candidate.card)


def _require_own(candidate: Candidate, held: LedgerEntry) -> None:
    tags = candidate.tags
    kept = (candidate.logged.digest, tags.get(tag.TRAINING_KEY), tags.get(tag.SNAPSHOT), tags.get(tag.SPEC))
    if kept != (held.model_digest, held.training_key, held.snapshot, held.spec_digest):
        raise IntegrityError(
            f"MLflow run {held.mlflow_run} keeps another challenger than decision {held.id} holds; train again"
        )


def _name(version: int | None) -> str:
    return "no champion" if version is None else f"version {version}"
