"""One retraining of a model at a time, and none for drift soon after another; what comes in between is dropped."""

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime

from evergreen.gate.decision import DecisionKind, Reason
from evergreen.gate.judge import skip
from evergreen.report.run import Fact, RunReport
from evergreen.settings import Settings
from evergreen.spec import ModelSpec, find_spec, load_spec
from evergreen.spec.base import format_duration
from evergreen.stages.run import Conclusion, Evidence, Origin, Request
from evergreen.store import turn as turns
from evergreen.store.entry import Cause, LedgerEntry
from evergreen.store.ledger import Ledger

log = logging.getLogger("evergreen.turn")

DROPPED = "dropped: "
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
def take_turn(request: Request, origin: Origin, settings: Settings, now: datetime) -> Iterator[Turn]:
    """Hold the model's turn for the length of the block; a dry run changes nothing and needs none.

    Where another run has it, or where a run for drift comes within the spec's cooldown after another, the turn says
    that this run is dropped. Raises SpecError where there is no such spec, and Busy where what has the turn is an
    earlier process of the same run, which is still at work.
    """
    spec = load_spec(find_spec(settings.configs, request.spec))
    with ExitStack() as held:
        why = "" if request.dry_run else _take(held, spec, request, origin, settings, now)
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


def _take(held: ExitStack, spec: ModelSpec, request: Request, origin: Origin, settings: Settings, now: datetime) -> str:
    """Put the turn into `held`; what comes back says why the run must not start, and is empty where it may."""
    ledger, holder = Ledger(settings.store_url), origin.flow_run or f"{origin.user}, process {os.getpid()}"
    ledger.prepare()
    try:
        held.enter_context(turns.take_turn(settings.store_url, spec.model, holder, now))
    except turns.Busy as busy:
        found = turns.holder(settings.store_url, spec.model)
        if found is not None and found.holder == holder:
            raise
        return str(busy)
    return "" if request.force else _cooling(spec, request, origin, ledger, now)


def _cooling(spec: ModelSpec, request: Request, origin: Origin, ledger: Ledger, now: datetime) -> str:
    if request.reason is not Reason.DRIFT:
        return ""
    cooldown = spec.drift.cooldown
    for entry in ledger.entries(spec.model, _RECENT):
        if entry.decided_at <= now - cooldown:
            break
        # What this run itself decided before it was cut short does not stand in its own way.
        if _retrained_for_drift(entry) and (entry.flow_run is None or entry.flow_run != origin.flow_run):
            when, length = f"{entry.decided_at:%Y-%m-%d %H:%M} UTC", format_duration(cooldown)
            return f"decision {entry.id} answered drift at {when}, and drift.cooldown is {length}"
    return ""


def _retrained_for_drift(entry: LedgerEntry) -> bool:
    own = entry.cause is Cause.RUN and entry.reason is Reason.DRIFT
    return own and entry.kind is not DecisionKind.SKIP
