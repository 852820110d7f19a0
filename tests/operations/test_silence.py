"""A model that should have been retrained and was not is noticed, once a silence."""

from datetime import UTC, datetime

import pytest

from evergreen.gate.decision import DecisionKind
from evergreen.operations.silence import deadline, notice_silence
from evergreen.spec.model import Schedule
from evergreen.store.entry import Cause
from evergreen.store.facts import FactKind


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "zone", "since", "due"),
    [
        # A weekly run on Monday at six; the second one after it, and an hour for that to run.
        ("0 6 * * 1", "UTC", "2026-11-16 06:10", "2026-11-30 07:00"),
        # By hand on a Wednesday: the next two are due five and twelve days later.
        ("0 6 * * 1", "UTC", "2026-11-18 12:00", "2026-11-30 07:00"),
        # The clock is set forward on March 29 and back on October 25: six o'clock stays six o'clock in Berlin.
        ("0 6 * * 1", "Europe/Berlin", "2026-03-23 06:00", "2026-04-06 05:00"),
        ("0 6 * * 1", "Europe/Berlin", "2026-10-19 05:00", "2026-11-02 06:00"),
        # An hour that is there twice is due once, one that is not there at all is due when the next begins.
        ("30 2 * * *", "Europe/Berlin", "2026-10-24 12:00", "2026-10-26 02:30"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-27 12:00", "2026-03-29 02:00"),
        # Where runs are due every five minutes, nobody waits for an hour.
        ("*/5 * * * *", "UTC", "2026-11-16 06:01", "2026-11-16 06:15"),
        # Weekdays only: from Friday to Tuesday.
        ("0 6 * * mon-fri", "UTC", "2026-11-20 06:30", "2026-11-24 07:00"),
        ("0 6 * * 7", "UTC", "2026-11-16 06:10", "2026-11-29 07:00"),
        # On the first, and on every Sunday: cron's rule is either.
        ("0 6 1 * sun", "UTC", "2026-11-25 06:10", "2026-12-01 07:00"),
    ],
)
def test_silence_begins_at_the_second_run_that_did_not_come(cron, zone, since, due):
    assert deadline(Schedule(cron=cron, timezone=zone), utc(since)) == utc(due)


def test_a_schedule_that_never_fires_is_never_silent():
    assert deadline(Schedule(cron="0 0 31 2 *"), utc("2026-11-16 06:10")) is None


def silences(home, now):
    lines = notice_silence(home.specs, home.settings, now)
    assert all(line.startswith("silence: churn ") for line in lines)
    return len(lines)


def test_a_silence_is_told_once_and_the_next_one_again(home, later):
    silences(home, later(minutes=0))
    first = home.decide()
    assert [silences(home, later(days=d)) for d in (13, 14, 15, 40)] == [0, 0, 1, 0]
    fact = home.outbox.latest("churn", FactKind.SILENCE)
    assert fact.payload == {
        "last_success": first.decided_at.isoformat(),
        "schedule": "0 6 * * 1, UTC",
        "due": "2026-11-30T07:00:00+00:00",
    }
    home.decide(at=later(days=41))
    assert [silences(home, later(days=d)) for d in (42, 70, 71)] == [0, 1, 0]


def test_a_model_that_never_ran_is_silent_from_when_its_schedule_was_first_seen(home, later):
    assert [silences(home, later(days=d)) for d in (0, 13, 15, 16)] == [0, 0, 1, 0]
    assert home.outbox.latest("churn", FactKind.SILENCE).payload["last_success"] is None


@pytest.mark.parametrize("kind", DecisionKind)
def test_any_decision_of_a_run_that_saw_data_is_success(home, later, kind):
    silences(home, later(minutes=0))
    home.decide(at=later(days=10), kind=kind)
    assert silences(home, later(days=15)) == 0


@pytest.mark.parametrize("parts", [{"snapshot": None}, {"cause": Cause.APPROVAL}, {"cause": Cause.TIMEOUT}])
def test_neither_a_dropped_run_nor_a_persons_answer_is_success(home, later, parts):
    silences(home, later(minutes=0))
    home.decide()
    for day in range(1, 14):
        home.decide(at=later(days=day), **parts)
    assert silences(home, later(days=15)) == 1


def test_a_schedule_that_is_paused_misses_nothing(home, later):
    home.write("churn", schedule={"active": False})
    home.decide()
    assert silences(home, later(days=100)) == 0


def test_a_new_schedule_is_not_late_on_its_first_day(home, later):
    home.decide()
    home.write("churn", schedule={"cron": "0 6 * * *"})
    assert [silences(home, later(days=d)) for d in (20, 21, 23)] == [0, 0, 1]
