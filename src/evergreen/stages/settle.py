"""What is put in order before anything new is done to a model."""

from datetime import datetime

from evergreen.gate.decision import DecisionKind
from evergreen.registry.provenance import TRAINING_KEY
from evergreen.registry.versions import CHALLENGER, Registry
from evergreen.store.ledger import Ledger
from evergreen.store.reconcile import Promoter, reconcile

_RECENT = 200


def settle(ledger: Ledger, registry: Registry, model: str, now: datetime, *, alone: bool = True) -> list[str]:
    """Finish or withdraw what was cut short; one line on each, and on a champion that the ledger cannot explain.

    Who does not have the model's turn is not `alone`: alias `challenger` may be that of a run at work, and stays.
    """
    lines = reconcile(ledger, registry, model, now)
    if alone:
        lines += _release_undecided(ledger, registry, model)
        lines += _release_rejected(ledger, registry, model)
    return [*lines, *filter(None, [find_stranger(ledger, registry, model)])]


def find_stranger(ledger: Ledger, registry: Promoter, model: str) -> str:
    """What is odd about the alias `champion`: it is not where the ledger's last promotion put it. Empty where it is.

    A promotion that is not finished explains an alias on its version, too.
    """
    crowns, alias = ledger.history(model), registry.champion_version(model)
    known = crowns[-1].version if crowns else None
    if alias == known or alias in [entry.champion_after for entry in ledger.unfinished(model)]:
        return ""
    says = f"version {known}" if known else "no champion"
    found = f"points at version {alias}" if alias else "is gone"
    do = f"evergreen rollback {model} --why … puts it back" if known else "remove it in MLflow to begin anew"
    return f"alias champion of {model} {found}, but the ledger knows of {says}: somebody moved it by hand; {do}"


def _release_undecided(ledger: Ledger, registry: Registry, model: str) -> list[str]:
    """A run that died between registering and deciding left a challenger that nobody judged. The version stays for the
    run that asks the same again; nothing loads it meanwhile.
    """
    number = registry.aliases(model).get(CHALLENGER)
    if number is None:
        return []
    version = registry.version(model, number)
    keys = {intention.training_key for intention in ledger.intended(model)}
    undecided = version.tags.get(TRAINING_KEY) in keys and version.digest not in _decided(ledger, model)
    if not undecided or not registry.release(model, version.digest):
        return []
    return [f"version {number} of {model} is no challenger: the run that registered it died before it was decided on"]


def _decided(ledger: Ledger, model: str) -> set[str | None]:
    return {entry.model_digest for entry in ledger.entries(model, _RECENT)}


def _release_rejected(ledger: Ledger, registry: Registry, model: str) -> list[str]:
    """A process that died between the rejection and the alias left the alias on what nobody waits for."""
    number = registry.aliases(model).get(CHALLENGER)
    if number is None:
        return []
    digest = registry.version(model, number).digest
    last = next((e for e in ledger.entries(model, _RECENT) if e.model_digest == digest), None)
    if last is None or last.kind is not DecisionKind.REJECT or not registry.release(model, digest):
        return []
    return [f"version {number} of {model} is no challenger any more: decision {last.id} rejected it"]
