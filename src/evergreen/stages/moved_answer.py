"""What is done about an alias `champion` that somebody moved by hand: it is told, adopted or put back."""

import logging
from dataclasses import replace
from datetime import datetime

from evergreen.checks import Check, Outcome
from evergreen.errors import IntegrityError, UserError
from evergreen.gate.decision import DecisionKind, Reason
from evergreen.registry.smoke import NAME as SMOKE_TEST
from evergreen.registry.smoke import smoke_test
from evergreen.registry.versions import Registry, said_of_pin
from evergreen.spec.model import MovedByHand
from evergreen.stages.moved import Move, look_once, next_step
from evergreen.store.entry import Cause, LedgerEntry
from evergreen.store.facts import Fact, FactKind
from evergreen.store.ledger import AlreadyDecided, Ledger
from evergreen.store.outbox import Outbox
from evergreen.store.reconcile import give_effect

log = logging.getLogger("evergreen.moved")

_BY = "evergreen"
_KEY = "promotion.moved_by_hand"


def answer_move(move: Move, policy: MovedByHand, ledger: Ledger, registry: Registry, now: datetime) -> str:
    """Adopt the version that the alias is on, or put the alias back, as the policy says; one line on it.

    What may not be adopted is put back, and where nothing can be put back it is told, as `report` does. Either is a
    decision of its own, written before its effect. Raises UnavailableError where MLflow does not answer.
    """
    if policy == "report":
        return _tell(move, "", ledger, now)
    grounds = _grounds(move, ledger)
    entry, why_not = _decide(move, policy, ledger, registry, now)
    if entry is None:
        return _tell(move, why_not, ledger, now)
    changed = f"{move}; that changed while it was looked into, and the next run looks again"
    with registry.turn(move.model):
        # The smoke test took its time, and nobody was kept from anything meanwhile.
        if (look_once(ledger, registry, move.model), _grounds(move, ledger)) != (move, grounds):
            return changed
        try:
            written = ledger.record(entry)
        except AlreadyDecided:
            return changed
        log.info("ledger      decision %s: %s", written.id, written.reasons[0])
        line = give_effect(ledger, registry, written, now)
        done = written.id in [crown.decision_id for crown in ledger.history(move.model)]
        return f"{move}; {_in_words(written) if done else line}"


def _grounds(move: Move, ledger: Ledger) -> tuple[str, int | None]:
    """What speaks for or against adopting, and may change: the pin, and the newest decision on the version."""
    decided = _newest(move, ledger)
    return said_of_pin(ledger.url, move.model), decided.id if decided else None


def _newest(move: Move, ledger: Ledger) -> LedgerEntry | None:
    return next(iter(ledger.about(move.model, move.alias)), None) if move.alias else None


def _decide(
    move: Move, policy: MovedByHand, ledger: Ledger, registry: Registry, now: datetime
) -> tuple[LedgerEntry | None, str]:
    """The decision to write; or None, and why neither adopting nor putting back is possible."""
    why_not = ""
    if policy == "adopt":
        entry, why_not = _adoption(move, ledger, registry, now)
        if entry is not None:
            return entry, ""
    back, why_not_back = _restoration(move, why_not, ledger, registry, now)
    return back, "; ".join(filter(None, (why_not, why_not_back)))


def _adoption(move: Move, ledger: Ledger, registry: Registry, now: datetime) -> tuple[LedgerEntry | None, str]:
    decided = _newest(move, ledger)
    if move.alias is None:
        return None, "there is nothing to adopt"
    if decided is None:
        return None, f"no decision speaks of version {move.alias}"
    if why_not := said_of_pin(ledger.url, move.model) or _why_unfit(decided):
        return None, why_not
    check = _test(decided, move.alias, registry)
    if not check.passed:
        return None, f"version {move.alias} fails its smoke test: {check.why}"
    says = f"{move}; version {move.alias} is adopted, as {_KEY} says"
    entry = replace(_again(decided, check, says, now), cause=Cause.ADOPTION, fence=move.fence)
    entry = replace(entry, version=move.alias, champion_before=move.known, champion_after=move.alias)
    if decided.id not in [held.id for held in ledger.pending(move.model)]:
        return entry, ""
    # It answers what waited for a person, as an approval does, and says as much about the training.
    gate = tuple(c for c in decided.checks if c.name != check.name)
    kept = {name: getattr(decided, name) for name in ("as_of", "reason", "training_key", "mlflow_run", "intention")}
    return replace(entry, resolves=decided.id, checks=(*gate, check), **kept), ""


def _why_unfit(decided: LedgerEntry) -> str:
    """Why the newest decision on a version does not let it be adopted; empty where it passed its gate."""
    if decided.kind is DecisionKind.PROMOTE:
        return ""
    if decided.kind is DecisionKind.HOLD:
        missing = [check for check in decided.checks if not check.passed]
        return f"decision {decided.id} holds it, as {missing[0].name} is {missing[0].outcome}" if missing else ""
    return f"decision {decided.id} on version {decided.version} is {decided.kind}"


def _restoration(
    move: Move, why_not: str, ledger: Ledger, registry: Registry, now: datetime
) -> tuple[LedgerEntry | None, str]:
    crowns = ledger.history(move.model)
    crowning = ledger.entry(crowns[-1].decision_id) if crowns else None
    if crowning is None or move.known is None:
        return None, "the ledger has no champion to put back"
    check = _test(crowning, move.known, registry)
    if not check.passed:
        return None, f"version {move.known} cannot be put back: {check.why}"
    because = f"because {why_not}" if why_not else f"as {_KEY} says"
    says = f"{move}; it is put back on version {move.known}, {because}"
    entry = replace(_again(crowning, check, says, now), cause=Cause.RESTORATION, fence=move.fence)
    return replace(entry, version=move.known, champion_before=move.alias, champion_after=move.known), ""


def _test(decided: LedgerEntry, number: int, registry: Registry) -> Check:
    """The smoke test of a version, with the artifact that the decision names; FAIL where it is another one."""
    name, digest = f"version {number} of {decided.model}", decided.model_digest
    if digest is None:
        return _failed(f"decision {decided.id} does not say which artifact {name} had")
    if number not in registry.versions(decided.model):
        return _failed(f"{name} is gone from the registry")
    found = registry.version(decided.model, number)
    if found.digest != digest:
        return _failed(f"{name} names another artifact in the registry than in the ledger")
    try:
        return smoke_test(registry.tracking, found.source, digest)
    except (IntegrityError, UserError) as error:
        return _failed(str(error))


def _in_words(done: LedgerEntry) -> str:
    did = "adopts" if done.cause is Cause.ADOPTION else "puts it back on"
    return f"decision {done.id} {did} version {done.champion_after}"


def _failed(why: str) -> Check:
    return Check(SMOKE_TEST, Outcome.FAIL, None, "", why)


def _again(decided: LedgerEntry, check: Check, says: str, now: datetime) -> LedgerEntry:
    """A promotion of what was decided on before. Nothing was asked anew, and no challenger waits in it."""
    return replace(
        decided,
        id=None,
        kind=DecisionKind.PROMOTE,
        reason=Reason.MANUAL,
        reasons=(says,),
        checks=(check,),
        as_of=now,
        decided_at=now,
        decided_by=_BY,
        resolves=None,
        training_key=None,
        mlflow_run=None,
        flow_run=None,
        intention=None,
    )


def _by_a_person(move: Move) -> str:
    back = f"evergreen rollback {move.model} --to … --why … names another champion"
    return f"restore version {move.known} from its backup, or {back}"


def _tell(move: Move, why_not: str, ledger: Ledger, now: datetime) -> str:
    """Say that nothing was done about it, to people once a reign and place of the alias."""
    payload = {
        "decision": None,
        "version": move.alias,
        "champion_before": move.known,
        "champion_after": move.alias,
        "reasons": [str(move), *filter(None, [why_not])],
        "cause": "report",
    }
    # Who cannot put it back by himself cannot be sent to put it back.
    stuck = bool(why_not) and move.known is not None
    if stuck:
        payload["do"] = _by_a_person(move)
    key = f"moved:{move.model}:{move.fence}:{move.alias or 'gone'}"
    Outbox(ledger.url).put(Fact(key, FactKind.ALIAS_MOVED, move.model, now, payload))
    step = _by_a_person(move) if stuck else next_step(move, "report")
    return "; ".join(filter(None, (str(move), why_not, step)))
