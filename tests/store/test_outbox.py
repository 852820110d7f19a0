import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evergreen.store.facts import Fact, FactKind
from evergreen.store.outbox import Outbox

NOW = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
LEASE = timedelta(minutes=5)
ALL = tuple(FactKind)
HELD = Fact("decision:1", FactKind.HELD, "churn", NOW, {"decision": 1, "reasons": ["drift"]})
DRIFT = Fact("drift:churn:1", FactKind.DRIFT, "churn", NOW + timedelta(hours=1), {"share": 0.4})


@pytest.fixture
def outbox(ledger) -> Outbox:
    return Outbox(ledger.url)


def later(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def due(outbox: Outbox, at: datetime = NOW + LEASE * 20, channel: str = "hook", **options) -> list[str]:
    return [fact.key for fact in outbox.due(channel, options.get("kinds", ALL), at, options.get("since", NOW))]


def as_another(call):
    """What another relay gets."""
    found = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join()
    return found[0]


def test_a_fact_is_known_once_by_its_key_and_stays_what_it_was(outbox):
    assert outbox.put(HELD)
    assert not outbox.put(replace(HELD, model="other", payload={}))
    assert outbox.known("decision:1") == HELD
    assert outbox.known("decision:2") is None


def test_the_latest_fact_is_the_newest_of_its_kind_and_model(outbox):
    for fact in (DRIFT, HELD, replace(DRIFT, key="older", at=NOW), replace(DRIFT, key="other", model="demand")):
        outbox.put(fact)
    assert outbox.latest("churn", FactKind.DRIFT) == DRIFT
    assert outbox.latest("churn", FactKind.SILENCE) is None


def test_what_is_due_is_oldest_first_and_chosen_by_kind_and_age(outbox):
    outbox.put(DRIFT)
    outbox.put(HELD)
    assert due(outbox) == ["decision:1", "drift:churn:1"]
    assert due(outbox, kinds=[FactKind.DRIFT]) == ["drift:churn:1"]
    assert due(outbox, kinds=[]) == []
    assert due(outbox, since=NOW + timedelta(seconds=1)) == ["drift:churn:1"]
    assert [fact.key for fact in outbox.due("hook", ALL, NOW, NOW, limit=1)] == ["decision:1"]


def test_channels_do_not_know_of_each_other(outbox):
    outbox.put(HELD)
    outbox.delivered(HELD, "hook", NOW)
    assert due(outbox, channel="mail") == ["decision:1"]
    assert outbox.claim(HELD, "mail", NOW, LEASE)
    assert (outbox.pending("hook"), outbox.pending("mail")) == (0, 1)


def test_what_is_pending_can_be_narrowed_as_what_is_due(outbox):
    outbox.put(HELD)
    outbox.put(DRIFT)
    assert outbox.pending("hook") == 2
    assert outbox.pending("hook", kinds=[FactKind.HELD]) == 1
    assert outbox.pending("hook", since=DRIFT.at) == 1


@pytest.mark.parametrize(
    ("history", "minutes", "claimed"),
    [
        ([], 0, True),
        (["claim"], 4.9, False),
        (["claim"], 5, True),
        (["claim", "failed"], 9.9, False),
        (["claim", "failed"], 10, True),
        (["failed"], 9.9, False),
        (["failed"], 10, True),
        (["claim", "delivered"], 999, False),
        (["delivered"], 999, False),
        (["delivered", "failed"], 999, False),
        (["claim", "delivered", "failed"], 999, False),
        (["claim", "failed", "delivered"], 999, False),
        (["claim", "give up"], 999, False),
        (["claim", "give up", "failed"], 999, False),
    ],
)
def test_a_fact_can_be_claimed_when_it_is_due(outbox, history, minutes, claimed):
    outbox.put(HELD)
    for step in history:
        act(outbox, step)
    assert due(outbox, later(minutes)) == (["decision:1"] if claimed else [])
    assert as_another(lambda: outbox.claim(HELD, "hook", later(minutes), LEASE)) is claimed


def act(outbox: Outbox, step: str) -> None:
    if step == "claim":
        assert outbox.claim(HELD, "hook", NOW, LEASE)
    elif step == "delivered":
        outbox.delivered(HELD, "hook", NOW)
    else:
        outbox.failed(HELD, "hook", NOW, "503", None if step == "give up" else later(10))


def test_a_relay_that_comes_late_does_not_free_what_another_has_claimed(outbox):
    outbox.put(HELD)
    outbox.claim(HELD, "hook", NOW, LEASE)
    assert as_another(lambda: outbox.claim(HELD, "hook", later(6), LEASE))
    outbox.failed(HELD, "hook", later(7), "timed out", later(7))
    assert due(outbox, later(8)) == []
    assert due(outbox, later(11)) == ["decision:1"]


def test_a_fact_that_was_never_put_cannot_be_claimed(outbox):
    with pytest.raises(ValueError, match="decision:1 was never put"):
        outbox.claim(HELD, "hook", NOW, LEASE)


CLAIM = """
import sys
from datetime import datetime, timedelta
from evergreen.store.facts import FactKind
from evergreen.store.outbox import Outbox
outbox, now = Outbox(sys.argv[1]), datetime.fromisoformat(sys.argv[2])
for fact in outbox.due("hook", tuple(FactKind), now, now):
    if outbox.claim(fact, "hook", now, timedelta(minutes=5)):
        print(fact.key)
        outbox.delivered(fact, "hook", now)
"""


def test_of_two_processes_one_gets_each_fact(outbox):
    keys = [f"fact:{n:02}" for n in range(20)]
    for key in keys:
        outbox.put(replace(HELD, key=key))
    command = [sys.executable, "-c", CLAIM, outbox.url, NOW.isoformat()]
    relays = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert sorted("".join(relay.communicate(timeout=60)[0] for relay in relays).split()) == keys
    assert outbox.pending("hook") == 0


EXAMPLES = count()
STEPS = st.one_of(
    st.tuples(st.just("put"), st.sampled_from("ab")),
    st.tuples(st.sampled_from(["claim", "send", "fail"]), st.sampled_from("ab")),
    st.tuples(st.just("wait"), st.integers(1, 8)),
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, max_size=20))
def test_nothing_is_delivered_twice_in_whatever_order_relays_act(outbox, steps):
    # A relay sends only what it holds a claim on; every example has facts of its own.
    now, claims, sent, example = NOW, {}, [], next(EXAMPLES)
    for step, subject in steps:
        fact = replace(HELD, key=f"{example}:{subject}")
        if step == "wait":
            now += timedelta(minutes=subject)
        elif step == "put":
            outbox.put(fact)
        elif outbox.known(fact.key) is not None:
            relay(outbox, step, fact, now, claims, sent)
    assert len(sent) == len(set(sent))


def relay(outbox: Outbox, step: str, fact: Fact, now: datetime, claims: dict[str, datetime], sent: list[str]) -> None:
    if step == "claim":
        listed = fact in outbox.due("hook", ALL, now, NOW, limit=10_000)
        got = outbox.claim(fact, "hook", now, LEASE)
        assert got is listed
        assert not (got and fact.key in sent)
        claims |= {fact.key: now + LEASE} if got else {}
    elif claims.get(fact.key, now) > now and step == "send":
        outbox.delivered(fact, "hook", now)
        sent.append(fact.key)
        del claims[fact.key]
    elif claims.get(fact.key, now) > now:
        outbox.failed(fact, "hook", now, "503", now + timedelta(minutes=2))
        del claims[fact.key]
