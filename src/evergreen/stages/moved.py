"""Alias `champion` where the ledger did not put it, and what its model's spec says about that."""

from dataclasses import dataclass

from evergreen.errors import SpecError
from evergreen.settings import Settings
from evergreen.spec import find_spec, load_spec
from evergreen.spec.model import MovedByHand
from evergreen.store.ledger import Ledger
from evergreen.store.reconcile import Promoter


@dataclass(frozen=True)
class Move:
    """Alias `champion` is on version `alias`, or gone, and the ledger's champion is version `known`, or there is none.

    `fence` is the number of that champion's reign.
    """

    model: str
    alias: int | None
    known: int | None
    fence: int

    def __str__(self) -> str:
        found = f"points at version {self.alias}" if self.alias else "is gone"
        says = f"version {self.known}" if self.known else "no champion"
        return f"alias champion of {self.model} {found}, but the ledger knows of {says}: somebody moved it by hand"


def find_move(ledger: Ledger, registry: Promoter, model: str) -> Move | None:
    """Where the alias is, if that is not where the ledger's last promotion put it.

    A promotion that is not finished explains an alias on its version, too.
    """
    if look_once(ledger, registry, model) is None:
        return None
    # Between two of these reads a promotion may have begun or ended. Nobody promotes while the turn is ours.
    with registry.turn(model):
        return look_once(ledger, registry, model)


def next_step(move: Move, policy: MovedByHand) -> str:
    """What is done about it, or what a person can do."""
    if move.known is None:
        return "remove it in MLflow to begin anew" if policy != "adopt" else _by_itself(move, "adopts it if it may")
    if policy == "report":
        return f"evergreen rollback {move.model} --why … puts it back"
    adopts = policy == "adopt" and move.alias is not None
    return _by_itself(move, "adopts it or puts it back" if adopts else "puts it back")


def policy_of(model: str, settings: Settings) -> MovedByHand:
    """What the spec of a registered model says; `report` where no spec that can be read is about it."""
    try:
        spec = load_spec(find_spec(settings.configs, model))
    except SpecError:
        return "report"
    return spec.promotion.moved_by_hand if spec.model == model else "report"


def look_once(ledger: Ledger, registry: Promoter, model: str) -> Move | None:
    """The same from reads one after the other: what it finds is to be believed in the registry's turn only."""
    fence, crowns, alias = ledger.fence(model), ledger.history(model), registry.champion_version(model)
    known = crowns[-1].version if crowns else None
    if alias == known or alias in [entry.champion_after for entry in ledger.unfinished(model)]:
        return None
    return Move(model, alias, known, fence)


def _by_itself(move: Move, what: str) -> str:
    return f"evergreen reconcile {move.model}, or the next run, {what}"
