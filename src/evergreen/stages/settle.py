"""What is put in order before anything new is done to a model."""

from datetime import datetime

from evergreen.gate.decision import DecisionKind
from evergreen.registry.handles import Champion
from evergreen.registry.provenance import TRAINING_KEY
from evergreen.registry.versions import CHALLENGER, Registry
from evergreen.spec.model import MovedByHand
from evergreen.stages.moved import find_move, next_step
from evergreen.stages.moved_answer import answer_move
from evergreen.store.ledger import Ledger
from evergreen.store.reconcile import Promoter, reconcile

_RECENT = 200


def settle(
    ledger: Ledger,
    registry: Registry,
    model: str,
    now: datetime,
    *,
    alone: bool = True,
    policy: MovedByHand = "report",
) -> list[str]:
    """Finish or withdraw what was cut short, and do about an alias that somebody moved by hand what the policy says.

    One line on each. Who does not have the model's turn is not `alone`: alias `challenger` may be that of a run at
    work, and stays; a champion that the ledger cannot explain is only told of.
    """
    lines = reconcile(ledger, registry, model, now)
    if not alone:
        return [*lines, *filter(None, [find_stranger(ledger, registry, model)])]
    lines += _release_challenger(ledger, registry, model)
    if move := find_move(ledger, registry, model):
        lines.append(answer_move(move, policy, ledger, registry, now))
    return lines


def find_stranger(ledger: Ledger, registry: Promoter, model: str, policy: MovedByHand = "report") -> str:
    """What is odd about the alias `champion`, and what is done about it; empty where the ledger explains it."""
    move = find_move(ledger, registry, model)
    return "" if move is None else f"{move}; {next_step(move, policy)}"


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
