"""Counts of requests add up over processes and minutes, and a process may write a minute again."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from evergreen.store.asked import Asked, Minute, Requests

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def requests(ledger) -> Requests:
    return Requests(ledger.url)


def test_processes_and_minutes_add_up(requests):
    requests.write("a", [Minute("churn", NOON, Asked(5, 1, 0, {"price: min": 1})), Minute("other", NOON, Asked(9))])
    requests.write("b", [Minute("churn", NOON + MINUTE, Asked(1, 2, 3, {"price: min": 2, "plan: allowed": 1}))])
    found = requests.between("churn", NOON, NOON + 2 * MINUTE)
    assert found == Asked(6, 3, 3, {"price: min": 3, "plan: allowed": 1})
    assert found.requests == 12


def test_of_a_minute_that_is_written_again_the_newest_counts(requests):
    for answered in (3, 7):
        requests.write("a", [Minute("churn", NOON, Asked(answered))])
    assert requests.between("churn", NOON, NOON + MINUTE) == Asked(7)


def test_a_minute_belongs_to_the_time_that_it_begins_in(requests):
    requests.write("a", [Minute("churn", NOON, Asked(1)), Minute("churn", NOON + MINUTE, Asked(2))])
    halves = [NOON - MINUTE / 2, NOON + MINUTE / 2, NOON + 3 * MINUTE / 2]
    assert [requests.between("churn", *span).answered for span in pairwise(halves)] == [1, 2]


def test_where_nobody_counted_nothing_is_known(requests):
    assert requests.between("churn", NOON, NOON + MINUTE) is None


def test_old_counts_are_deleted_for_one_model(requests):
    minutes = [Minute(model, NOON + n * MINUTE, Asked(1)) for model in ("churn", "other") for n in range(3)]
    requests.write("a", minutes)
    assert requests.forget("churn", NOON + 2 * MINUTE) == 2
    assert requests.between("churn", NOON, NOON + 3 * MINUTE) == Asked(1)
    assert requests.between("other", NOON, NOON + 3 * MINUTE) == Asked(3)
