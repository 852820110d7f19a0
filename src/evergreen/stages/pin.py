"""Pins: a person keeps a champion where it is."""

import logging
from datetime import datetime

from evergreen.errors import UserError
from evergreen.settings import Settings
from evergreen.stages.open import registry_of
from evergreen.stages.sign import sign
from evergreen.store.ledger import Ledger
from evergreen.store.pins import Pin, Pins

log = logging.getLogger("evergreen.pin")


def pin(model: str, by: str, why: str, settings: Settings, now: datetime) -> Pin:
    """Keep the champion: nothing replaces it but a rollback. Once this returns, no run under way does either.

    Raises UserError for a model without a champion. Pinning again replaces who and why.
    """
    said = sign("pinned", by, why)
    ledger, pins = Ledger(settings.store_url), Pins(settings.store_url)
    ledger.prepare()
    if not ledger.history(model):
        raise UserError(f"{model} has no champion that could be pinned; evergreen run {model}")
    pins.pin(model, by, why, now)
    # Whoever looked for a pin before this one was written is done moving the alias when our turn comes.
    with registry_of(settings).turn(model):
        log.info("pin         %s: %s", model, said)
    found = pins.pinned(model)
    if found is None:
        last = pins.history(model)[-1]
        raise UserError(f"{model} is not pinned: {last.by} unpinned it meanwhile ({last.why})")
    return found


def unpin(model: str, by: str, why: str, settings: Settings, now: datetime) -> Pin:
    """Let the champion be replaced again; what comes back is the pin that was taken off. UserError without one."""
    said = sign("unpinned", by, why)
    Ledger(settings.store_url).prepare()
    pins = Pins(settings.store_url)
    found = pins.pinned(model)
    if found is None:
        raise UserError(f"{model} is not pinned")
    pins.unpin(model, by, why, now)
    log.info("unpin       %s: %s", model, said)
    return found
