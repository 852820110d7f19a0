"""Versions that must stay, whoever wants them deleted: what production, people and unfinished work rest on."""

from collections.abc import Iterator

from evergreen.errors import UserError
from evergreen.store.canary import Canaries
from evergreen.store.entry import Crown
from evergreen.store.ledger import Ledger
from evergreen.store.pins import Pins
from evergreen.store.standing import standing


class ProtectedVersion(UserError):  # noqa: N818 - the name is the message
    """A version that must not be deleted."""


def protected(ledger: Ledger, model: str) -> dict[int, str]:
    """The versions of a model that the ledger needs, each with the first reason why it must stay.

    The ledger's history counts and not an alias, which somebody may have moved or deleted.
    """
    crowns = ledger.history(model)
    found: dict[int, str] = {}
    reigning = _reigning(crowns, ledger.rollbacks(model))
    for version, why in (*reigning, *_pinned(ledger, model), *_awaited(ledger, model)):
        found.setdefault(version, why)
    return found


def _reigning(crowns: tuple[Crown, ...], rollbacks: frozenset[int]) -> Iterator[tuple[int, str]]:
    if not crowns:
        return
    champion = crowns[-1].version
    yield champion, "it is champion"
    before = [crown.version for crown in crowns if crown.version != champion]
    stack = standing((crown.version, crown.decision_id in rollbacks) for crown in crowns)
    # After a rollback these are two: the one that a further rollback goes back to, and the one that was left.
    for version in (*stack[-2:-1], *before[-1:]):
        yield version, "it was champion before the present one, and a rollback goes back to it"


def _pinned(ledger: Ledger, model: str) -> Iterator[tuple[int, str]]:
    pin = Pins(ledger.url).pinned(model)
    held = None if pin is None else ledger.champion_at(model, pin.at)
    if pin is not None and held is not None:
        yield held[0], f"it was pinned by {pin.by}"


def _awaited(ledger: Ledger, model: str) -> Iterator[tuple[int, str]]:
    for entry in ledger.unfinished(model):
        if entry.champion_after is not None:
            yield entry.champion_after, f"decision {entry.id} promotes it and has not taken effect"
    tried = {trial.decision_id for trial in Canaries(ledger.url).open(model)}
    for entry in ledger.pending(model):
        if entry.version is not None:
            held = "tries it on real requests" if entry.id in tried else "holds it until a person has answered"
            yield entry.version, f"decision {entry.id} {held}"
