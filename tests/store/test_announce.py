"""A decision and the fact of it are written together, or neither is."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from evergreen.errors import UnavailableError
from evergreen.gate.decision import DecisionKind, Reason
from evergreen.store import ledger as ledger_room
from evergreen.store.entry import Cause, LedgerEntry
from evergreen.store.facts import Fact, FactKind
from evergreen.store.outbox import Outbox

NOW = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
ENTRY = LedgerEntry("churn", DecisionKind.REJECT, ("worse",), (), Reason.DRIFT, NOW, NOW, "anna", version=4)
PROMOTED = replace(ENTRY, kind=DecisionKind.PROMOTE, champion_before=3, champion_after=4)
PAYLOAD = {
    "decision": 1,
    "version": 4,
    "champion_before": None,
    "champion_after": None,
    "reasons": ["worse"],
    "reason": "drift",
    "cause": "run",
    "by": "anna",
    "as_of": "2026-03-02T06:00:00+00:00",
}


@pytest.mark.parametrize(
    ("kind", "cause", "told"),
    [
        (DecisionKind.HOLD, Cause.RUN, FactKind.HELD),
        (DecisionKind.HOLD, Cause.RECONCILE, FactKind.HELD),
        (DecisionKind.REJECT, Cause.RUN, FactKind.REJECTED),
        (DecisionKind.REJECT, Cause.TIMEOUT, FactKind.REJECTED),
        (DecisionKind.SKIP, Cause.RUN, None),
        (DecisionKind.PROMOTE, Cause.RUN, None),
        (DecisionKind.PROMOTE, Cause.ROLLBACK, None),
    ],
)
def test_what_is_told_of_a_decision_when_it_is_written(ledger, kind, cause, told):
    ledger.record(replace(ENTRY, kind=kind, cause=cause))
    fact = Fact("decision:1", told, "churn", NOW, {**PAYLOAD, "cause": cause.value}) if told else None
    assert Outbox(ledger.url).known("decision:1") == fact


@pytest.mark.parametrize(
    ("cause", "told"),
    [
        (Cause.RUN, FactKind.PROMOTED),
        (Cause.APPROVAL, FactKind.PROMOTED),
        (Cause.ROLLBACK, FactKind.ROLLED_BACK),
        (Cause.WATCH, FactKind.ROLLED_BACK),
    ],
)
def test_a_promotion_is_told_when_it_takes_effect_and_once(ledger, cause, told):
    ledger.record(replace(PROMOTED, cause=cause))
    for minutes in (1, 2):
        ledger.crown(1, "churn", 4, NOW + timedelta(minutes=minutes))
    fact = Outbox(ledger.url).known("decision:1")
    assert (fact.kind, fact.at) == (told, NOW + timedelta(minutes=1))
    assert fact.payload == PAYLOAD | {"champion_before": 3, "champion_after": 4, "cause": cause.value}


def test_a_decision_whose_fact_cannot_be_written_is_not_written(ledger, monkeypatch):
    monkeypatch.setattr(ledger_room, "put_fact", disk_full)
    with pytest.raises(UnavailableError):
        ledger.record(ENTRY)
    assert ledger.entries("churn") == ()


def test_a_champion_whose_fact_cannot_be_written_is_not_crowned(ledger, monkeypatch):
    ledger.record(PROMOTED)
    monkeypatch.setattr(ledger_room, "put_fact", disk_full)
    with pytest.raises(UnavailableError):
        ledger.crown(1, "churn", 4, NOW)
    monkeypatch.undo()
    assert ledger.history("churn") == ()
    ledger.crown(1, "churn", 4, NOW)
    assert ledger.verify() == ()


def disk_full(connection: object, fact: Fact) -> bool:
    raise UnavailableError("no space left on device")
