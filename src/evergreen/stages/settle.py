"""What is put in order before anything new is done to a model."""

from datetime import datetime

from evergreen.gate.decision import DecisionKind
from evergreen.registry.handles import Champion
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
        lines += _release_challenger(ledger, registry, model)
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


def _release_challenger(ledger: Ledger, registry: Registry, model: str) -> list[str]:
    """Take alias `challenger` off a version that nobody waits for. The version stays; nothing loads it meanwhile."""
    number = registry.aliases(model).get(CHALLENGER)
    if number is None:
        return []
    version = registry.version(model, number)
    fate = _fate(ledger, version)
    if not fate or not registry.release(model, version.digest):
        return []
    return [f"version {number} of {model} is no challenger{fate}"]


def _fate(ledger: Ledger, version: Champion) -> str:
    """Why a version waits for nobody: what died left the alias on it. Empty where it may be waited for."""
    last = next((e for e in ledger.entries(version.model, _RECENT) if e.model_digest == version.digest), None)
    if last is not None:
        if last.kind is DecisionKind.HOLD and last not in ledger.pending(version.model):
            return f" any more: decision {last.id}, which held it, was overtaken"
        return f" any more: decision {last.id} rejected it" if last.kind is DecisionKind.REJECT else ""
    keys = {intention.training_key for intention in ledger.intended(version.model)}
    if version.tags.get(TRAINING_KEY) in keys:
        return ": the run that registered it died before it was decided on"
    return ""
