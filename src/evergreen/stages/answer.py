"""What becomes of a held decision: a person approves or rejects it, or nobody does in time."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from evergreen.checks import Check
from evergreen.errors import EvergreenError
from evergreen.gate.decision import DecisionKind
from evergreen.registry.smoke import smoke_test
from evergreen.settings import Settings
from evergreen.spec.base import format_duration
from evergreen.stages.held import find_decision, register_held, require_pending, require_promotable
from evergreen.stages.open import connect, registry_of, tracking_of
from evergreen.stages.promote import promote
from evergreen.stages.run import reached
from evergreen.stages.settle import settle
from evergreen.stages.sign import sign
from evergreen.store.canary import Canaries, CanaryState
from evergreen.store.entry import Cause, LedgerEntry
from evergreen.store.ledger import AlreadyDecided, Ledger

log = logging.getLogger("evergreen.answer")


@dataclass(frozen=True)
class Answer:
    """Who, or what, answers a held decision, and why; `checks` are those that the answer rests on."""

    cause: Cause
    by: str
    reasons: tuple[str, ...]
    checks: tuple[Check, ...] = ()


def approve(decision_id: int, by: str, why: str, settings: Settings, now: datetime) -> LedgerEntry:
    """Promote a held challenger: registered if it is not yet, smoke-tested, written down, then champion.

    A challenger that fails its smoke test now is rejected instead. Asked again after a kill, whatever is left is done.
    Raises UserError for a decision that nobody waits for, StaleChampion where another version is champion by now.
    """
    said = sign("approved", by, why)
    _, ledger = connect(settings)
    registry, held = registry_of(settings), find_decision(decision_id, ledger)
    for line in settle(ledger, registry, held.model, now, alone=False):
        log.warning("reconcile   %s", line)
    if (given := _given(held, said, ledger)) is not None:
        return given
    return grant(held, Answer(Cause.APPROVAL, by, (said,)), settings, now)


def grant(held: LedgerEntry, answer: Answer, settings: Settings, now: datetime) -> LedgerEntry:
    """Promote what a pending decision holds, if the champion is still the one it was measured against.

    The one way from a held challenger to production, whoever says yes. Raises as `approve` does.
    """
    tracking, ledger, registry = tracking_of(settings), Ledger(settings.store_url), registry_of(settings)
    require_pending(held, ledger)
    require_promotable(held, registry, ledger)
    registered = register_held(held, tracking, registry)
    check = smoke_test(tracking, registered.uri, registered.digest)
    log.info("smoke test  %s: %s", check.outcome, check.why)
    held = replace(held, version=registered.version, model_digest=registered.digest)
    entry = ledger.record(_approval(held, check, answer, now))
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
    return turn_down(held, Answer(Cause.APPROVAL, by, (said,)), settings, now)


def turn_down(held: LedgerEntry, answer: Answer, settings: Settings, now: datetime) -> LedgerEntry:
    """Write that a pending decision is rejected, and take alias `challenger` off its version."""
    ledger = Ledger(settings.store_url)
    crowns = ledger.history(held.model)
    champion = crowns[-1].version if crowns else None
    rejected = replace(held, id=None, kind=DecisionKind.REJECT, cause=answer.cause, resolves=held.id)
    rejected = replace(rejected, reasons=answer.reasons, checks=(*held.checks, *answer.checks))
    rejected = replace(rejected, decided_at=now, decided_by=answer.by)
    entry = ledger.record(replace(rejected, champion_before=champion, champion_after=champion))
    log.info("ledger      decision %s: %s, %s", entry.id, entry.kind, "; ".join(answer.reasons))
    _release(entry, settings)
    return entry


def expire(settings: Settings, now: datetime, within: Mapping[str, timedelta]) -> tuple[LedgerEntry, ...]:
    """Reject what has waited longer than its model's time `within`; models that are not named wait on.

    A trial has its own time, and what it leaves to a person waits from its end.
    """
    ledger = Ledger(settings.store_url)
    ledger.prepare()
    since = waiting_since(ledger)
    late = [e for e in ledger.pending(None) if e.id in since and e.model in within]
    found = []
    for held in late:
        if now - since[reached(held.id)] < within[held.model]:
            continue
        why = f"nobody answered decision {held.id} within {format_duration(within[held.model])}"
        try:
            found.append(turn_down(held, Answer(Cause.TIMEOUT, "evergreen", (why,)), settings, now))
        except AlreadyDecided as error:
            log.info("expire      %s", error)
    return tuple(found)


def waiting_since(ledger: Ledger) -> dict[int, datetime]:
    """When the time of a person began for each pending decision; those whose trial runs are not among them."""
    canaries, found = Canaries(ledger.url), {}
    for entry in ledger.pending(None):
        trial = canaries.find(reached(entry.id))
        if trial is None or trial.state is CanaryState.ENDED:
            found[reached(entry.id)] = trial.until if trial and trial.until else entry.decided_at
    return found


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


def _approval(held: LedgerEntry, check: Check, answer: Answer, now: datetime) -> LedgerEntry:
    """The decision that answers a held one; `held` carries the version that was registered for it."""
    others = (*(c for c in held.checks if c.name != check.name), *answer.checks)
    failure = () if check.passed else (f"{check.name} {check.outcome}: {check.why}",)
    return replace(
        held,
        id=None,
        kind=DecisionKind.PROMOTE if check.passed else DecisionKind.REJECT,
        cause=answer.cause,
        resolves=held.id,
        reasons=(*answer.reasons, *failure),
        checks=(*others, check),
        decided_at=now,
        decided_by=answer.by,
        champion_after=held.version if check.passed else held.champion_before,
    )


def _release(entry: LedgerEntry, settings: Settings) -> None:
    try:
        registry_of(settings).release(entry.model, reached(entry.model_digest))
    except EvergreenError as error:
        # Down, or its version is gone. The decision stands; the alias is a signpost, and the next run takes it off.
        log.warning("release     alias challenger is taken off by the next run: %s", error)
