"""Canaries: what the counts of a trial say is done, through the same protocol as a person's answer."""

import logging
from collections.abc import Callable
from datetime import datetime

from evergreen.errors import EvergreenError, PinnedChampion, StaleChampion
from evergreen.gate.canary import Action, Verdict, broken_since, explain, judge_canary
from evergreen.settings import Settings
from evergreen.stages.answer import Answer, grant, turn_down
from evergreen.stages.canary_quality import observe_quality
from evergreen.stages.open import registry_of
from evergreen.stages.rollback import fall_back
from evergreen.store.canary import Canaries, Canary
from evergreen.store.canary_end import Ended
from evergreen.store.entry import Cause, LedgerEntry
from evergreen.store.ledger import AlreadyDecided, Ledger
from evergreen.store.pins import Pins
from evergreen.store.reconcile import reconcile

log = logging.getLogger("evergreen.canary")
_BY = "evergreen"
Act = Callable[[Canary, Canaries, Settings, datetime], LedgerEntry | None]


def advance_canaries(settings: Settings, now: datetime) -> tuple[LedgerEntry, ...]:
    """Judge every trial by the rules that its decision was written with, and act on what is certain.

    What comes back are the decisions that were written. A promotion that is watched is gone back from where a condition
    breaks. Of two who advance at once one answers; what was killed in between is finished by whoever comes next. A
    trial that cannot be acted on keeps the others from nothing: the first such error is raised when all have had their
    turn.
    """
    canaries = Canaries(settings.store_url)
    answers, errors = list[LedgerEntry](), list[EvergreenError]()
    for canary, act in _at_work(canaries, now):
        try:
            answer = act(canary, canaries, settings, now)
        except AlreadyDecided as error:
            log.info("canary      %s", error)
        except EvergreenError as error:
            log.warning("canary      %s: %s", canary.model, error)
            errors.append(error)
        else:
            answers += [answer] if answer else []
    if errors:
        raise errors[0]
    return tuple(answers)


def _at_work(canaries: Canaries, now: datetime) -> list[tuple[Canary, Act]]:
    watched, running = canaries.watched(now), canaries.unended()
    return [*((canary, _watch) for canary in watched), *((canary, _advance) for canary in running)]


def _watch(canary: Canary, canaries: Canaries, settings: Settings, now: datetime) -> LedgerEntry | None:
    """Go back to the champion before, where the one that was promoted broke a condition since."""
    _finish(canary, settings, now)
    observe_quality(canary, canaries, now)
    broken = broken_since(canaries.observed(canary), canary.rules)
    # Before it is looked whether it reigns: whoever follows it makes the fence too low, and the way back stale.
    fence = Ledger(settings.store_url).fence(canary.model)
    if not broken or canary not in canaries.watched(now, canary.model):
        return None
    if pin := Pins(settings.store_url).pinned(canary.model):
        log.warning("canary      %s breaks a condition, and is pinned by %s", canary.model, pin.by)
        return None
    why = f"since the canary of decision {canary.decision_id} was promoted, {'; '.join(broken)}"
    try:
        return fall_back(canary, fence, why, settings, now)
    except (PinnedChampion, StaleChampion) as error:
        # A person was faster: pinned it, or put another version there. The next look asks again.
        log.warning("canary      %s breaks a condition, and is left: %s", canary.model, error)
        return None


def _finish(canary: Canary, settings: Settings, now: datetime) -> None:
    """A promotion or rollback that was cut short is finished or withdrawn, and its trial with it."""
    for line in reconcile(Ledger(settings.store_url), registry_of(settings), canary.model, now):
        log.warning("reconcile   %s", line)


def _advance(canary: Canary, canaries: Canaries, settings: Settings, now: datetime) -> LedgerEntry | None:
    _finish(canary, settings, now)
    canaries.settle(canary.model, now)
    if canary.decision_id not in [running.decision_id for running in canaries.open(canary.model)]:
        return None
    observe_quality(canary, canaries, now)
    verdict = judge_canary(canaries.observed(canary), canary.rules, now)
    if verdict.action is Action.KEEP_ON:
        return None
    held = Ledger(settings.store_url).entry(canary.decision_id)
    assert held is not None, "a foreign key holds every trial to its decision"
    if verdict.action is Action.PROMOTE:
        return _promote(canary, held, verdict, settings, now)
    if verdict.action is Action.ROLL_BACK:
        return turn_down(held, _answer(Cause.CANARY, canary, verdict), settings, now)
    return _end(canary, held, verdict, settings, now)


def _promote(
    canary: Canary, held: LedgerEntry, verdict: Verdict, settings: Settings, now: datetime
) -> LedgerEntry | None:
    try:
        return grant(held, _answer(Cause.CANARY, canary, verdict), settings, now)
    except PinnedChampion as error:
        log.info("canary      %s", error)
        if now - canary.since < canary.rules.within:
            return None
        return _end(canary, held, Verdict(Action.END, verdict.checks), settings, now)
    except StaleChampion as error:
        # Somebody moved the alias by hand: what was counted is about another champion.
        Canaries(settings.store_url).end(canary, Ended.WITHDRAWN, str(error), now)
        raise


def _end(canary: Canary, held: LedgerEntry, verdict: Verdict, settings: Settings, now: datetime) -> LedgerEntry | None:
    answer = _answer(Cause.TIMEOUT, canary, verdict)
    if canary.rules.on_timeout == "reject":
        return turn_down(held, answer, settings, now)
    Canaries(settings.store_url).end(canary, Ended.TIMED_OUT, "; ".join(answer.reasons), now)
    return None


def _answer(cause: Cause, canary: Canary, verdict: Verdict) -> Answer:
    return Answer(cause, _BY, explain(verdict, canary.decision_id, canary.rules), verdict.checks)
