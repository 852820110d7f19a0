"""What becomes of a held decision: a person approves or rejects it, or nobody does in time."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from evergreen.checks import Check
from evergreen.errors import EvergreenError
from evergreen.gate.decision import DecisionKind
from evergreen.registry.smoke import smoke_test
from evergreen.settings import Settings
from evergreen.spec.base import format_duration
from evergreen.stages.held import find_decision, register_held, require_pending, require_promotable
from evergreen.stages.open import connect, registry_of
from evergreen.stages.promote import promote
from evergreen.stages.run import reached
from evergreen.stages.settle import settle
from evergreen.stages.sign import sign
from evergreen.store.entry import Cause, LedgerEntry
from evergreen.store.ledger import AlreadyDecided, Ledger

log = logging.getLogger("evergreen.answer")


def approve(decision_id: int, by: str, why: str, settings: Settings, now: datetime) -> LedgerEntry:
    """Promote a held challenger: registered if it is not yet, smoke-tested, written down, then champion.

    A challenger that fails its smoke test now is rejected instead. Asked again after a kill, whatever is left is done.
    Raises UserError for a decision that nobody waits for, StaleChampion where another version is champion by now.
    """
    said = sign("approved", by, why)
    tracking, ledger = connect(settings)
    registry, held = registry_of(settings), find_decision(decision_id, ledger)
    for line in settle(ledger, registry, held.model, now, alone=False):
        log.warning("reconcile   %s", line)
    if (given := _given(held, said, ledger)) is not None:
        return given
    require_pending(held, ledger)
    require_promotable(held, registry, ledger)
    registered = register_held(held, tracking, registry)
    check = smoke_test(tracking, registered.uri, registered.digest)
    log.info("smoke test  %s: %s", check.outcome, check.why)
    held = replace(held, version=registered.version, model_digest=registered.digest)
    entry = ledger.record(_approval(held, check, by, said, now))
    log.info("ledger      decision %s: %s", entry.id, entry.kind)
    promote(entry, settings, now)
    if entry.kind is DecisionKind.REJECT:
        _release(entry, settings)
    return entry


def reject(decision_id: int, by: str, why: str, settings: Settings, now: datetime) -> LedgerEntry:
    """Reject a held challenger; the champion stays. Raises UserError for a decision that nobody waits for."""
    said = sign("rejected", by, why)
    ledger = Ledger(settings.store_url)
    ledger.prepare()
    held = find_decision(decision_id, ledger)
    if (given := _given(held, said, ledger)) is not None:
        return given
    require_pending(held, ledger)
    return _turn_down(held, Cause.APPROVAL, (said,), by, settings, now)


def expire(settings: Settings, now: datetime, within: Mapping[str, timedelta]) -> tuple[LedgerEntry, ...]:
    """Reject what has waited longer than its model's time `within`; models that are not named wait on."""
    ledger = Ledger(settings.store_url)
    ledger.prepare()
    late = [e for e in ledger.pending(None) if e.model in within and now - e.decided_at >= within[e.model]]
    found = []
    for held in late:
        why = f"nobody answered decision {held.id} within {format_duration(within[held.model])}"
        try:
            found.append(_turn_down(held, Cause.TIMEOUT, (why,), "evergreen", settings, now))
        except AlreadyDecided as error:
            log.info("expire      %s", error)
    return tuple(found)


def _given(held: LedgerEntry, said: str, ledger: Ledger) -> LedgerEntry | None:
    """The answer that a decision has, where it is this very one; None where it has none. Raises UserError else."""
    done = ledger.resolution(reached(held.id))
    if done is None:
        return None
    promoted = done.kind is DecisionKind.PROMOTE
    effective = not promoted or done.id in {crown.decision_id for crown in ledger.history(done.model)}
    if done.reasons[0] == said and effective:
        return done
    fate = "" if effective else ", which was withdrawn"
    says = f"decision {held.id} is answered already: {done.kind} by decision {done.id}{fate}"
    raise AlreadyDecided(f"{says} ({'; '.join(done.reasons)}; {done.decided_at:%Y-%m-%d %H:%M} UTC)")


def _approval(held: LedgerEntry, check: Check, by: str, said: str, now: datetime) -> LedgerEntry:
    """The decision that answers a held one; `held` carries the version that was registered for it."""
    others = tuple(c for c in held.checks if c.name != check.name)
    failure = () if check.passed else (f"{check.name} {check.outcome}: {check.why}",)
    return replace(
        held,
        id=None,
        kind=DecisionKind.PROMOTE if check.passed else DecisionKind.REJECT,
        cause=Cause.APPROVAL,
        resolves=held.id,
        reasons=(said, *failure),
        checks=(*others, check),
        decided_at=now,
        decided_by=by,
        champion_after=held.version if check.passed else held.champion_before,
    )


def _turn_down(
    held: LedgerEntry, cause: Cause, reasons: tuple[str, ...], by: str, settings: Settings, now: datetime
) -> LedgerEntry:
    ledger = Ledger(settings.store_url)
    crowns = ledger.history(held.model)
    champion = crowns[-1].version if crowns else None
    answer = replace(held, id=None, kind=DecisionKind.REJECT, cause=cause, resolves=held.id, reasons=reasons)
    answer = replace(answer, decided_at=now, decided_by=by, champion_before=champion, champion_after=champion)
    entry = ledger.record(answer)
    log.info("ledger      decision %s: %s, %s", entry.id, entry.kind, "; ".join(reasons))
    _release(entry, settings)
    return entry


def _release(entry: LedgerEntry, settings: Settings) -> None:
    try:
        registry_of(settings).release(entry.model, reached(entry.model_digest))
    except EvergreenError as error:
        # Down, or its version is gone. The decision stands; the alias is a signpost, and the next run takes it off.
        log.warning("release     alias challenger is taken off by the next run: %s", error)
