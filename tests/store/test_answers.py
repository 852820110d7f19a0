"""Held decisions and their answers."""

import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from evergreen.gate.decision import DecisionKind, Reason
from evergreen.store.entry import Cause, LedgerEntry
from evergreen.store.ledger import AlreadyDecided, Ledger

NOW = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
HELD = LedgerEntry(
    "churn",
    DecisionKind.HOLD,
    ("an approval is wanted",),
    (),
    Reason.SCHEDULED,
    NOW,
    NOW,
    "schedule",
    training_key="k1",
    mlflow_run="r1",
    champion_before=3,
    champion_after=3,
    model_digest="d1",
)
ANSWER = replace(HELD, kind=DecisionKind.REJECT, cause=Cause.APPROVAL, decided_by="anna")
UNTRAINED = {"training_key": None, "mlflow_run": None, "model_digest": None}


@pytest.mark.parametrize(
    "held",
    [
        {"kind": DecisionKind.REJECT},
        {"kind": DecisionKind.PROMOTE},
        {"kind": DecisionKind.SKIP},
        {"mlflow_run": None},
        {"model_digest": None},
    ],
)
def test_only_a_held_challenger_waits_for_an_answer(ledger, held):
    ledger.record(replace(HELD, **held))
    assert ledger.pending() == ()


@pytest.mark.parametrize(
    ("later", "waits"),
    [
        ({"kind": DecisionKind.SKIP}, True),
        ({"kind": DecisionKind.HOLD, **UNTRAINED}, True),  # its data broke the rules
        ({"kind": DecisionKind.PROMOTE, "cause": Cause.ROLLBACK, "training_key": None}, True),
        ({"kind": DecisionKind.REJECT, "model": "demand"}, True),
        ({"kind": DecisionKind.REJECT}, True),  # it takes nobody's place
        ({"kind": DecisionKind.PROMOTE}, False),
        ({"kind": DecisionKind.HOLD, "mlflow_run": None}, False),
        ({"kind": DecisionKind.REJECT, "resolves": 1, "training_key": None}, False),
        ({"kind": DecisionKind.PROMOTE, "resolves": 1}, False),
    ],
)
def test_a_challenger_waits_until_it_is_answered_or_overtaken(ledger, later, waits):
    held = ledger.record(HELD)
    ledger.record(replace(HELD, **later))
    assert ledger.pending("churn") == ((held,) if waits else ())


def test_what_waits_is_told_oldest_first_for_one_model_or_for_all(ledger):
    churn, demand = ledger.record(HELD), ledger.record(replace(HELD, model="demand"))
    assert ledger.pending(None) == (churn, demand)
    assert ledger.pending("demand") == (demand,)
    assert ledger.models() == ("churn", "demand")


def test_a_later_challenger_takes_the_place_of_the_one_that_waits(ledger):
    ledger.record(HELD)
    second = ledger.record(replace(HELD, training_key="k2"))
    assert ledger.pending() == (second,)


def test_an_answer_is_found_by_what_it_answers(ledger):
    held = ledger.record(HELD)
    assert ledger.resolution(held.id) is None
    answer = ledger.record(replace(ANSWER, resolves=held.id))
    assert ledger.resolution(held.id) == answer
    assert (answer.cause, answer.resolves) == (Cause.APPROVAL, held.id)


def test_a_second_answer_is_told_who_gave_the_first(ledger):
    held = ledger.record(HELD)
    ledger.record(replace(ANSWER, resolves=held.id))
    words = r"decision 1 is answered already: decision 2, REJECT by anna \(approval\) on 2026-03-02 06:00 UTC"
    with pytest.raises(AlreadyDecided, match=words):
        ledger.record(replace(ANSWER, kind=DecisionKind.PROMOTE, resolves=held.id))
    assert len(ledger.entries("churn")) == 2


def test_of_four_who_answer_at_once_one_is_heard(ledger):
    held = ledger.record(HELD)
    heard = at_once(ledger, *[replace(ANSWER, decided_by=name, resolves=held.id) for name in "abcd"])
    assert [type(outcome) for outcome in heard].count(AlreadyDecided) == 3
    assert ledger.resolution(held.id) in heard


def test_who_write_at_once_follow_each_other_in_one_chain(ledger):
    written = at_once(ledger, *[replace(HELD, decided_by=str(n)) for n in range(6)])
    assert sorted(entry.id for entry in written) == [1, 2, 3, 4, 5, 6]
    assert ledger.verify() == ()


def at_once(ledger: Ledger, *entries: LedgerEntry) -> list[LedgerEntry | Exception]:
    """What becomes of entries that are recorded from a thread each."""
    outcomes, start = [], threading.Barrier(len(entries))

    def record(entry: LedgerEntry) -> None:
        start.wait()
        try:
            outcomes.append(Ledger(ledger.url).record(entry))
        except AlreadyDecided as error:
            outcomes.append(error)

    threads = [threading.Thread(target=record, args=(entry,)) for entry in entries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes
