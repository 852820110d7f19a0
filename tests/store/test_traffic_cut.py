"""How far a window reaches is known without reading a row, and what was written when is told apart."""

from datetime import UTC, datetime, timedelta

import pytest

from evergreen.store.prediction import Prediction, Role
from evergreen.store.traffic import Piece, Traffic, Written

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def traffic(ledger) -> Traffic:
    """Six groups of ten rows, one a minute from noon on; the fourth was written an hour late."""
    traffic = Traffic(ledger.url)
    for minute in range(6):
        late = 60 * MINUTE if minute == 3 else MINUTE
        traffic.write(group(minute), NOON + minute * MINUTE + late)
    traffic.write(group(2, version=4, role=Role.CHALLENGER), NOON + 3 * MINUTE)
    return traffic


def group(minute: int, version: int = 3, role: Role = Role.CHAMPION) -> list[Prediction]:
    at = [NOON + minute * MINUTE + timedelta(seconds=second) for second in range(10)]
    return [
        Prediction(f"{version}.{minute}.{place}", f"{version}.{minute}", "churn", version, role, moment, {}, "no")
        for place, moment in enumerate(at)
    ]


@pytest.mark.parametrize(
    ("rows", "minutes", "found"),
    [(1000, 30, 60), (60, 30, 60), (59, 5, 50), (25, 2, 20), (10, 1, 10), (3, 1, 10)],
)
def test_a_time_ends_where_it_has_so_many_rows(traffic, rows, minutes, found):
    assert traffic.cut("churn", NOON, NOON + 30 * MINUTE, 3, rows) == Piece(NOON + minutes * MINUTE, found)


def test_what_begins_before_counts_and_a_time_never_ends_where_it_began(traffic):
    since = NOON + timedelta(seconds=5)
    assert traffic.cut("churn", since, NOON + 30 * MINUTE, 3, 3) == Piece(NOON + MINUTE, 10)
    assert traffic.cut("churn", NOON, NOON + 30 * MINUTE, 5, 3) == Piece(NOON + 30 * MINUTE, 0)


@pytest.mark.parametrize(
    ("written", "rows"),
    [
        (Written(NOON + 10 * MINUTE), 60),
        (Written(NOON + 90 * MINUTE, NOON + 10 * MINUTE), 10),
        (Written(NOON + 90 * MINUTE), 70),
        (Written(NOON + 3 * MINUTE, NOON + MINUTE), 20),
    ],
)
def test_what_was_written_when_is_told_apart(traffic, written, rows):
    chunks = traffic.chunks("churn", NOON, NOON + 30 * MINUTE, written=written)
    assert sum(chunk.rows for chunk in chunks) == rows
