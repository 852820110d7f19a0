"""What became of a model between its windows: retrainings, promotions, ways back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from evergreen.gate.decision import DecisionKind
from evergreen.store.entry import RETURNS, Cause, Crown, LedgerEntry


class MarkKind(StrEnum):
    """What happened."""

    PROMOTION = "promotion"
    RETRAINING = "retraining"  # one that did not promote
    ROLLBACK = "rollback"


@dataclass(frozen=True)
class History:
    """Decisions of the ledger and champions of a model, in any order."""

    decisions: Sequence[LedgerEntry] = ()
    champions: Sequence[Crown] = ()


@dataclass(frozen=True)
class Mark:
    """One thing that happened, at an aware moment; `label` is short, `why` a sentence."""

    kind: MarkKind
    at: datetime
    label: str
    why: str


def find_marks(history: History, since: datetime, until: datetime) -> tuple[Mark, ...]:
    """What happened from `since` to `until`, oldest first. A run that promoted is one mark, its promotion."""
    marks = (*_crowned(history), *_without_effect(history))
    return tuple(sorted((mark for mark in marks if since <= mark.at <= until), key=lambda mark: mark.at))


def _crowned(history: History) -> Iterator[Mark]:
    decisions = {entry.id: entry for entry in history.decisions}
    for crown in history.champions:
        entry = decisions.get(crown.decision_id)
        back = entry is not None and entry.cause in RETURNS
        kind = MarkKind.ROLLBACK if back else MarkKind.PROMOTION
        yield Mark(kind, crown.at, f"v{crown.version}", _why_crowned(crown, entry, decisions))


def _why_crowned(crown: Crown, entry: LedgerEntry | None, decisions: dict[int | None, LedgerEntry]) -> str:
    said = f"version {crown.version} became champion"
    if entry is None:
        return said
    if entry.cause in RETURNS:
        return f"back to version {crown.version}, {_BY[entry.cause]}"
    if entry.cause in (Cause.ADOPTION, Cause.RESTORATION):
        return f"{said}: the alias was moved by hand"
    run = decisions.get(entry.resolves, entry) if entry.resolves is not None else entry
    return f"{said}, {_BY.get(entry.cause, '')}; the retraining was {_FOR[run.reason.value]}".replace(", ;", ";")


def _without_effect(history: History) -> Iterator[Mark]:
    crowned = {crown.decision_id for crown in history.champions}
    for entry in history.decisions:
        if entry.cause is Cause.RUN and entry.id not in crowned and entry.kind is not DecisionKind.PROMOTE:
            why = f"a retraining {_FOR[entry.reason.value]} {_ENDS[entry.kind]}"
            yield Mark(MarkKind.RETRAINING, entry.decided_at, entry.reason.value, _with_reason(why, entry))


def _with_reason(why: str, entry: LedgerEntry) -> str:
    return f"{why}: {entry.reasons[0]}" if entry.reasons else why


_FOR = {
    "scheduled": "on schedule",
    "manual": "started by a person",
    "drift": "for drift",
    "performance": "for performance",
    "backfill": "as of an earlier day",
}
_BY = {
    Cause.APPROVAL: "as a person approved it",
    Cause.CANARY: "as its trial on real requests went well",
    Cause.ROLLBACK: "as a person rolled back",
    Cause.WATCH: "as the new champion broke a condition while it was watched",
}
_ENDS = {
    DecisionKind.HOLD: "was held",
    DecisionKind.REJECT: "was rejected",
    DecisionKind.SKIP: "was skipped",
    DecisionKind.PROMOTE: "promoted",
}
