"""One retraining of a model at a time, and none for drift soon after another; what comes in between is dropped."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime

from evergreen.gate.decision import Reason
from evergreen.gate.judge import skip
from evergreen.report.run import Fact, RunReport
from evergreen.settings import Settings
from evergreen.spec import ModelSpec, find_spec, load_spec
from evergreen.spec.base import format_duration
from evergreen.stages.run import Conclusion, Evidence, Origin, Request
from evergreen.store import facts
from evergreen.store import turn as turns
from evergreen.store.entry import LedgerEntry
from evergreen.store.ledger import Ledger
from evergreen.store.outbox import Outbox, began_key

log = logging.getLogger("evergreen.turn")

DROPPED = "dropped: "
TIDYING = "reconcile"
"""Who holds a turn while `evergreen reconcile` is at work, which takes moments: a run waits for it."""

# A minute: a run that is due must not be lost to somebody who only cleans up.
_LOOKS, _PAUSE_SECONDS = 60, 1.0
# Drops are rows of the ledger, too: this many may have come since the retraining that they were dropped for.
_RECENT = 1000


@dataclass(frozen=True)
class Turn:
    """A run that may start, or, where `dropped` says why, must not. `model` is the registered one."""

    request: Request
    origin: Origin
    model: str
    dropped: str = ""


@contextmanager
def take_turn(
    request: Request,
    origin: Origin,
    settings: Settings,
    now: datetime,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Turn]:
    """Hold the model's turn for the length of the block; a dry run changes nothing and needs none.

    Where another run has it, or where a run for drift comes within the spec's cooldown after another, the turn says
    that this run is dropped. `evergreen reconcile` is waited for, up to a minute, with `pause`. Raises SpecError where
    there is no such spec, and Busy where what has the turn is an earlier process of the same run, which is still at
    work.
    """
    spec = load_spec(find_spec(settings.configs, request.spec))
    with ExitStack() as held:
        why = ""
        if not request.dry_run:
            why = _take(held, spec.model, origin, settings, now, pause)
            why = why or _cooling(spec, request, origin, Ledger(settings.store_url), now)
        yield Turn(request, origin, spec.model, why)


def drop(turn: Turn, settings: Settings, now: datetime) -> Conclusion:
    """Note in the ledger that a run was dropped and why; nothing else came of it."""
    ledger, request, origin = Ledger(settings.store_url), turn.request, turn.origin
    decision = skip(DROPPED + turn.dropped)
    entry = ledger.record(
        LedgerEntry(
            model=turn.model,
            kind=decision.kind,
            reasons=decision.reasons,
            checks=(),
            reason=request.reason,
            as_of=request.as_of,
            decided_at=now,
            decided_by=origin.user,
            flow_run=origin.flow_run,
        )
    )
    log.warning("dropped     %s", turn.dropped)
    facts = (Fact("started by", origin.user), Fact("ledger", f"decision {entry.id}"))
    report = RunReport(turn.model, request.as_of, request.reason, decision, facts=facts)
    crowns = ledger.history(turn.model)
    champion = crowns[-1].version if crowns else None
    return Conclusion(report, "", Evidence(decision=decision), entry.id, champion, dropped=True)


def _take(
    held: ExitStack, model: str, origin: Origin, settings: Settings, now: datetime, pause: Callable[[float], None]
) -> str:
    """Put the turn into `held`; what comes back says why the run must not start, and is empty where it may."""
    url, holder = settings.store_url, origin.flow_run or f"{origin.user}, process {os.getpid()}"
    Ledger(url).prepare()
    try:
        _wait(lambda: held.enter_context(turns.take_turn(url, model, holder, now)), url, model, pause)
    except turns.Busy as busy:
        found = turns.holder(url, model)
        if found is not None and found.holder == holder:
            raise
        return str(busy)
    if origin.flow_run:
        # Who tends looks for the turns of the runs that this store has seen, and leaves those of other stores alone.
        Outbox(url).put(facts.Fact(began_key(origin.flow_run), facts.FactKind.NOTE, model, now))
    return ""


def _wait(take: Callable[[], object], url: str, model: str, pause: Callable[[float], None]) -> None:
    """Take a turn, again and again while it is only cleaned up. Raises Busy."""
    for _ in range(_LOOKS):
        try:
            take()
        except turns.Busy:
            found = turns.holder(url, model)
            if found is not None and found.holder != TIDYING:
                raise
            pause(_PAUSE_SECONDS)
        else:
            return
    take()


def _cooling(spec: ModelSpec, request: Request, origin: Origin, ledger: Ledger, now: datetime) -> str:
    if request.reason is not Reason.DRIFT or request.force:
        return ""
    cooldown = spec.drift.cooldown
    for entry in ledger.entries(spec.model, _RECENT):
        if entry.decided_at <= now - cooldown:
            break
        # What this run itself decided before it was cut short does not stand in its own way.
        if entry.retrained_for_drift and (entry.flow_run is None or entry.flow_run != origin.flow_run):
            when, length = f"{entry.decided_at:%Y-%m-%d %H:%M} UTC", format_duration(cooldown)
            return f"decision {entry.id} answered drift at {when}, and drift.cooldown is {length}"
    return ""
