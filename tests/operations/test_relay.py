"""Every fact is told once on each channel that wants it, whoever fails or dies meanwhile."""

import threading
from dataclasses import replace
from datetime import timedelta
from itertools import count, pairwise

import pytest

from evergreen.drift.alert import EVENT
from evergreen.gate.decision import DecisionKind
from evergreen.operations.channels import PREFECT, Channel, event, notification_channels, with_answer
from evergreen.operations.relay import Pace, deliver, relay, retry_at
from evergreen.spec.canary import CanaryRules
from evergreen.store.facts import Fact, FactKind

KINDS = {"churn": frozenset({FactKind.REJECTED, FactKind.DRIFT})}


def channel(send, wanted=KINDS, name="webhook:ALERT_URL"):
    return Channel(name, wanted, send)


def keeping(told):
    return channel(lambda fact: told.append(fact.key))


def test_every_wanted_fact_is_told_once_oldest_first(home, later):
    home.fact("second", at=later(minutes=2))
    home.fact("first", at=later(minutes=1))
    home.fact("of a kind that nobody asked for", FactKind.PROMOTED)
    home.fact("of a model that tells nothing here", model="delay")
    home.fact("a note", FactKind.NOTE)
    told = []
    lines = deliver(keeping(told), home.outbox, later(minutes=3))
    assert told == ["first", "second"]
    assert lines == [
        "relay: webhook:ALERT_URL is told churn rejected (first)",
        "relay: webhook:ALERT_URL is told churn rejected (second)",
    ]
    assert deliver(keeping(told), home.outbox, later(hours=3)) == []
    assert told == ["first", "second"]


def test_prefect_is_told_everything_but_notes(home, later):
    for kind in FactKind:
        home.fact(kind.value, kind)
    told = []
    deliver(channel(lambda fact: told.append(fact.kind), wanted=None), home.outbox, later(minutes=1))
    assert set(told) == set(FactKind) - {FactKind.NOTE}


def test_channels_do_not_wait_for_each_other(home, later):
    home.fact("one")
    told = []
    broken = channel(lambda fact: "answered 500", name="slack:OTHER")
    assert "answered 500" in deliver(broken, home.outbox, later(minutes=1))[0]
    deliver(keeping(told), home.outbox, later(minutes=1))
    assert told == ["one"]


def test_what_fails_is_tried_again_after_pauses_that_double_up_to_an_hour(home, monday):
    home.fact("one")
    tries = []
    pauses = [timedelta(seconds=s) for s in (0, 30, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600)]
    now = monday
    for pause in pauses:
        now += pause
        for at in (now - timedelta(seconds=1), now) if pause else (now,):
            deliver(channel(lambda fact, at=at: tries.append(at) or "answered 500"), home.outbox, at)
    assert [b - a for a, b in pairwise(tries)] == pauses[1:]


def test_a_pass_ends_with_the_first_failure_and_the_next_one_begins_with_what_is_left(home, later):
    for number in range(3):
        home.fact(f"{number}", at=later(minutes=number))
    tried = []
    for minute in (10, 10):
        deliver(channel(lambda fact: tried.append(fact.key) or "no"), home.outbox, later(minutes=minute))
    assert tried == ["0", "1"]


def test_a_fact_is_given_up_after_three_days_and_that_is_said_once(home, later):
    home.fact("one")
    broken = channel(lambda fact: "answered 500")
    [line] = deliver(broken, home.outbox, later(days=2, hours=23, minutes=30))
    assert line.endswith("(answered 500); given up after 3 days")
    assert deliver(broken, home.outbox, later(days=2, hours=23, minutes=45)) == []
    assert deliver(broken, home.outbox, later(days=4)) == []


def test_what_grew_old_unsent_is_no_news_and_that_is_said_once(home, later):
    home.fact("one")
    home.fact("two")
    told = []
    [line] = deliver(keeping(told), home.outbox, later(days=3, hours=1))
    assert "is not told 2 facts of 2026-11-16 06:10 UTC and before" in line
    assert deliver(keeping(told), home.outbox, later(days=3, hours=2)) == told == []


@pytest.mark.parametrize("unwanted", [{"model": "delay"}, {"kind": FactKind.PROMOTED}], ids=["model", "kind"])
def test_what_nobody_wants_on_a_channel_is_in_nobodys_way(home, later, monkeypatch, unwanted):
    monkeypatch.setattr("evergreen.operations.relay._PAGE", 3)
    for number in range(5):
        home.fact(f"unwanted {number}", at=later(seconds=number), **unwanted)
    home.fact("wanted", at=later(minutes=1))
    wanted, told = {"churn": {FactKind.REJECTED}, "delay": {FactKind.PROMOTED}}, []
    deliver(channel(lambda fact: told.append(fact.key), wanted), home.outbox, later(minutes=2))
    assert told == ["wanted"]


def test_an_alert_outlasts_an_outage_of_weeks_and_other_facts_do_not(home, later):
    home.fact("drift", FactKind.DRIFT)
    home.fact("rejected")
    told = []
    events = channel(lambda fact: told.append(fact.key), None, PREFECT)
    [old, _] = deliver(events, home.outbox, later(days=29))
    assert "is not told a fact of 2026-11-16 06:10 UTC and before" in old
    assert told == ["drift"]


def test_an_alert_that_cannot_be_delivered_is_tried_for_a_month(home, later):
    home.fact("drift", FactKind.DRIFT)
    events = channel(lambda fact: "answered 500", None, PREFECT)
    assert "tried again" in deliver(events, home.outbox, later(days=20))[0]
    assert deliver(events, home.outbox, later(days=30))[0].endswith("given up after 30 days")
    assert deliver(events, home.outbox, later(days=31)) == []


def test_an_alert_that_is_older_than_a_month_is_named_and_dropped(home, later):
    home.fact("drift", FactKind.DRIFT)
    told = []
    [line] = deliver(channel(told.append, None, PREFECT), home.outbox, later(days=31))
    assert "prefect is not told a fact of 2026-11-16" in line
    assert told == []


def test_a_claim_lasts_from_when_it_was_made_however_long_the_pass_takes(home, later):
    for number in range(12):
        home.fact(f"{number:02}")
    halves, told = count(2), []

    def send(fact):
        # Each message takes a minute; another relay looks meanwhile.
        told.append(fact.key)
        at = later(minutes=len(told) + 1, seconds=30)
        assert not home.outbox.claim(fact, "webhook:ALERT_URL", at, timedelta(minutes=5))

    deliver(channel(send), home.outbox, later(minutes=1), Pace(lambda: later(minutes=next(halves) / 2)))
    assert told == [f"{number:02}" for number in range(12)]


def test_who_is_told_to_stop_sends_no_more(home, later):
    home.fact("one")
    home.fact("two")
    told = []
    deliver(keeping(told), home.outbox, later(minutes=1), Pace(stopped=lambda: bool(told)))
    assert told == ["one"]
    deliver(keeping(told), home.outbox, later(minutes=1))
    assert told == ["one", "two"], "what was not begun is nobody's"


def test_many_facts_are_told_over_several_passes(home, later):
    for number in range(24):
        home.fact(f"{number:02}", at=later(seconds=number))
    told = []
    sizes = [len(deliver(keeping(told), home.outbox, later(minutes=9))) for _ in range(3)]
    assert sizes == [20, 4, 0]
    assert told == sorted(told)


def test_of_relays_that_run_at_once_one_tells_each_fact(home, later):
    for number in range(12):
        home.fact(f"{number:02}")
    told, start = [], threading.Barrier(3)

    def run():
        start.wait()
        deliver(keeping(told), home.outbox, later(minutes=1))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == [f"{number:02}" for number in range(12)]


class Killed(BaseException):
    """What a kill looks like to those who cannot see it coming."""


def test_a_relay_that_dies_while_sending_leaves_the_fact_to_others_once_its_claim_is_over(home, later):
    home.fact("one")
    told = []

    def send(fact):
        told.append(fact.id)
        raise Killed

    with pytest.raises(Killed):
        deliver(channel(send), home.outbox, later(minutes=1))
    assert deliver(channel(lambda fact: told.append(fact.id)), home.outbox, later(minutes=5)) == []
    deliver(channel(lambda fact: told.append(fact.id)), home.outbox, later(minutes=6))
    # Told twice, with one id to know it by: the documented limit.
    assert len(told) == 2
    assert len(set(told)) == 1


@pytest.mark.parametrize(
    ("age", "pause"),
    [
        (timedelta(0), timedelta(seconds=30)),
        (timedelta(minutes=10), timedelta(minutes=10)),
        (timedelta(hours=9), timedelta(hours=1)),
        (timedelta(days=3) - timedelta(hours=1), timedelta(hours=1)),
        (timedelta(days=3) - timedelta(minutes=59), None),
    ],
)
def test_when_to_try_again(monday, age, pause):
    assert retry_at(monday, monday + age) == (None if pause is None else monday + age + pause)


@pytest.mark.parametrize(
    ("kind", "name"), [(FactKind.DRIFT, EVENT), (FactKind.ROLLED_BACK, "evergreen.model.rolled_back")]
)
def test_an_event_names_the_model_and_carries_the_id_of_its_fact(monday, kind, name):
    fact = Fact("one", kind, "churn", monday, {"share": 0.4})
    assert event(fact) == {
        "id": str(fact.id),
        "occurred": "2026-11-16T06:10:00+00:00",
        "event": name,
        "resource": {"prefect.resource.id": "evergreen.model.churn", "prefect.resource.name": "churn"},
        "payload": {"share": 0.4},
    }


def test_a_model_tells_what_its_spec_says_where_its_spec_says(home, receiver, later):
    home.write("churn", notify=[{"kind": "webhook", "url_env": "CREW", "on": ["rejected"]}])
    home.write("delay", notify=[{"kind": "webhook", "url_env": "CREW"}, {"kind": "slack", "url_env": "CREW"}])
    for model in ("churn", "delay"):
        for kind in (FactKind.REJECTED, FactKind.PROMOTED):
            home.fact(f"{model} {kind}", kind, model=model)
    lines = relay(home.specs, home.settings, None, {"CREW": receiver.url()}, later(minutes=1))
    posted = [body for _, _, body in receiver.taken]
    webhook = [(body["model"], body["kind"]) for body in posted if "kind" in body]
    assert webhook == [("churn", "rejected"), ("delay", "rejected"), ("delay", "promoted")]
    assert len([body for body in posted if set(body) == {"text"}]) == 2
    assert len(lines) == 5


def test_a_channel_without_an_address_says_so_and_its_facts_wait(home, receiver, later):
    home.write("churn", notify=[{"kind": "webhook", "url_env": "CREW"}])
    home.fact("one")
    lines = relay(home.specs, home.settings, None, {}, later(minutes=1))
    assert lines == ["relay: webhook:CREW has no address: CREW is not set"]
    relay(home.specs, home.settings, None, {"CREW": receiver.url()}, later(minutes=2))
    assert len(receiver.taken) == 1


def held(home, **parts):
    run = {"mlflow_run": "a1", "model_digest": "b2", "training_key": "c3"}
    return home.decide(kind=DecisionKind.HOLD, **{**run, **parts})


def told(home, entry):
    fact = home.outbox.known(f"decision:{entry.id}")
    return with_answer(fact, home.specs["churn"], home.ledger).payload


def test_a_held_challenger_is_told_with_the_time_there_is_to_answer(home):
    home.write("churn", promotion={"mode": "approval", "approve_within": "2d"})
    payload = told(home, held(home))
    assert (payload["answer"], payload["until"]) == ("waiting", "2026-11-18T06:10:00+00:00")


def test_a_challenger_that_is_tried_is_told_with_the_time_that_it_has(home):
    tried = home.decide(
        kind=DecisionKind.HOLD, mlflow_run="a1", model_digest="b2", training_key="c3", version=2, champion_before=1
    )
    home.ledger.record(replace(tried, id=None, training_key="d4"), CanaryRules(within=timedelta(days=3)))
    payload = told(home, replace(tried, id=tried.id + 1))
    assert (payload["answer"], payload["until"]) == ("tried", "2026-11-19T06:10:00+00:00")


def test_an_answered_decision_asks_nobody(home, later):
    entry = held(home)
    home.decide(at=later(hours=1), resolves=entry.id)
    assert told(home, entry)["answer"] == "answered"


def test_bad_data_asks_nobody(home):
    assert told(home, held(home, mlflow_run=None, model_digest=None))["answer"] == "none"


def test_people_read_how_to_answer(home, receiver, later):
    home.write("churn", notify=[{"kind": "webhook", "url_env": "CREW"}])
    entry = held(home)
    relay(home.specs, home.settings, None, {"CREW": receiver.url()}, later(minutes=1))
    [(_, _, body)] = receiver.taken
    assert f"evergreen approve {entry.id} --why" in body["text"]
    assert "Without an answer by 2026-11-23 06:10 UTC it is rejected." in body["text"]


def test_commands_that_people_are_told_name_the_spec(home, receiver, later):
    home.write("churn", model="Customers", notify=[{"kind": "webhook", "url_env": "CREW"}])
    home.fact("one", FactKind.ROLLED_BACK, model="Customers")
    relay(home.specs, home.settings, None, {"CREW": receiver.url()}, later(minutes=1))
    [(_, _, body)] = receiver.taken
    assert (body["model"], body["payload"]["spec"]) == ("Customers", "churn")
    assert "evergreen history churn" in body["text"]


def test_specs_that_share_an_address_share_a_channel(home):
    home.write("delay", notify=[{"kind": "webhook", "url_env": "CREW", "on": ["drift"]}])
    home.write("churn", notify=[{"kind": "webhook", "url_env": "CREW", "on": ["held"]}])
    [shared], missing = notification_channels(home.specs, home.settings, {"CREW": "x"})
    assert (shared.name, missing) == ("webhook:CREW", [])
    assert shared.kinds == {FactKind.DRIFT, FactKind.HELD}
    assert shared.wanted == {"churn": {FactKind.HELD}, "delay": {FactKind.DRIFT}}
