"""Windows of traffic are written once, stay as they are, and say when a retraining was asked for."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa

from evergreen.address import with_driver
from evergreen.checks import Outcome
from evergreen.store.facts import Fact, FactKind
from evergreen.store.ledger import Ledger
from evergreen.store.outbox import Outbox
from evergreen.store.quarantine import Held, in_quarantine
from evergreen.store.traffic import Written
from evergreen.store.window import LATE, Signal, SignalKind, Verdict, Window
from evergreen.store.windows import Windows

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DRIFT = Signal(
    SignalKind.INPUT_DRIFT, Outcome.FAIL, "price moved", 0.21, 0.1, 0.18, 0.24, {"columns": [{"name": "price"}]}
)


@pytest.fixture
def windows(ledger: Ledger) -> Windows:
    return Windows(ledger.url)


def window(hour: int = 0, verdict: Verdict = Verdict.QUIET, **changes) -> Window:
    since = NOON + hour * HOUR
    made = Window("churn", 3, since, since + HOUR, since + HOUR, 700, 2, (DRIFT,), verdict, ("Nothing moved",))
    return replace(made, **changes)


def test_what_is_read_is_what_was_written(windows):
    written = window(event="drift:churn", settled=NOON + HOUR, late_since=NOON)
    assert windows.write(written)
    assert windows.last("churn") == (written,)
    assert windows.last("other") == ()


def test_a_window_is_written_once_and_its_fact_with_it(windows):
    fact = Fact("monitor:churn:1", FactKind.DRIFT, "churn", NOON, {"share": 0.3})
    assert windows.write(window(), fact)
    again = replace(window(), verdict=Verdict.RETRAIN, until=NOON + 2 * HOUR)
    assert not windows.write(again, replace(fact, key="monitor:churn:2"))
    assert windows.last("churn", 9) == (window(),)
    outbox = Outbox(windows.url)
    assert (outbox.known("monitor:churn:1"), outbox.known("monitor:churn:2")) == (fact, None)


def test_of_those_who_look_at_once_one_is_heard(windows):
    heard: list[bool] = []
    facts = [Fact(f"monitor:{place}", FactKind.ALERT, "churn", NOON) for place in range(4)]
    threads = [threading.Thread(target=lambda f=fact: heard.append(windows.write(window(), f))) for fact in facts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(heard) == [False, False, False, True]
    assert sum(Outbox(windows.url).known(fact.key) is not None for fact in facts) == 1


def test_numbers_that_json_has_not_are_none_and_numpys_are_python_s(windows):
    odd = replace(DRIFT, value=float("nan"), details={"p": np.float64(0.5), "n": np.int64(3), "at": NOON, "x": {1: ()}})
    windows.write(window(signals=(odd,)))
    (found,) = windows.last("churn")[0].signals
    assert found == replace(DRIFT, value=None, details={"p": 0.5, "n": 3, "at": NOON.isoformat(), "x": {"1": []}})


def test_windows_come_in_order_of_time(windows):
    for hour in (2, 0, 1):
        windows.write(window(hour))
    assert [found.since.hour for found in windows.last("churn", 2)] == [13, 14]
    half = timedelta(minutes=30)
    assert [w.since.hour for w in windows.between("churn", NOON + half, NOON + HOUR + half)] == [12, 13]
    assert windows.between("churn", NOON + 3 * HOUR, NOON + 4 * HOUR) == ()


def test_retrainings_that_were_asked_for_are_known_by_their_moment(windows):
    for hour, verdict in enumerate([Verdict.RETRAIN, Verdict.ALERT, Verdict.RETRAIN, Verdict.LABELS]):
        windows.write(window(hour, verdict))
    assert windows.asked("churn", NOON) == (NOON + HOUR, NOON + 3 * HOUR)
    assert windows.asked("churn", NOON + 2 * HOUR) == (NOON + 3 * HOUR,)


def test_times_in_quarantine_that_touch_are_one(windows):
    for hour, verdict in [
        (0, Verdict.QUARANTINE),
        (1, Verdict.QUARANTINE),
        (2, Verdict.QUIET),
        (3, Verdict.QUARANTINE),
    ]:
        windows.write(window(hour, verdict))
    day = timedelta(days=1)
    apart = (Held(NOON, NOON + 2 * HOUR), Held(NOON + 3 * HOUR, NOON + 4 * HOUR))
    assert windows.quarantined("churn", NOON - day, NOON + day) == apart
    assert windows.quarantined("churn", NOON + 2 * HOUR, NOON + 3 * HOUR) == ()
    assert windows.quarantined("churn", NOON - day, NOON + day, NOON + HOUR) == (Held(NOON, NOON + HOUR),)


def test_late_rows_that_a_window_in_quarantine_was_judged_by_are_held_too_and_none_twice(windows):
    settled = {"settled": NOON + 4 * HOUR, "late_since": NOON + 3 * HOUR}
    windows.write(window(0, Verdict.QUARANTINE))
    windows.write(window(1))
    windows.write(window(2))
    windows.write(window(3, Verdict.QUARANTINE, **settled))
    windows.write(window(4, Verdict.QUARANTINE, late=0, settled=NOON + 5 * HOUR, late_since=NOON + 4 * HOUR))
    written, day = Written(NOON + 4 * HOUR, NOON + 3 * HOUR), timedelta(days=1)
    times = (Held(NOON, NOON + HOUR), Held(NOON + 3 * HOUR, NOON + 5 * HOUR))
    before, between = Held(NOON + 3 * HOUR - LATE, NOON, written), Held(NOON + HOUR, NOON + 3 * HOUR, written)
    assert windows.quarantined("churn", NOON - 2 * day, NOON + day) == (*times, before, between)
    assert windows.quarantined("churn", NOON + HOUR, NOON + 2 * HOUR) == (replace(between, since=before.since),)
    at, wrote = zip(
        *[(0.5, 9), (1.5, 3), (1.5, 4), (2.5, 2.9), (-1, 3.5), (-30, 3.5), (4.5, 4.5), (5, 3.5)], strict=True
    )
    moments = {name: pa.array([NOON + each * HOUR for each in hours]) for name, hours in (("at", at), ("w", wrote))}
    answers = pa.table({"at": moments["at"], "written_at": moments["w"]})
    mask = in_quarantine(answers, windows.quarantined("churn", NOON - 2 * day, NOON + day))
    assert mask.to_pylist() == [True, True, False, False, True, False, True, False]


@pytest.mark.parametrize("change", ["UPDATE windows SET verdict = 'quiet'", "DELETE FROM windows"])
def test_what_was_seen_stays(windows, change):
    windows.write(window())
    engine = sa.create_engine(with_driver(windows.url), poolclass=sa.NullPool)
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), engine.begin() as connection:
        connection.execute(sa.text(change))
    assert windows.last("churn") == (window(),)
