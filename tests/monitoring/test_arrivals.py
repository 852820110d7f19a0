"""How much traffic is usual is learnt from earlier windows: nights and weekends are, stops and floods are not."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from evergreen.checks import Outcome
from evergreen.monitoring.arrivals import ENOUGH_WINDOWS, Arrivals, judge_freshness, judge_volume
from evergreen.store.window import SignalKind, Verdict, Window

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def arrivals(since: datetime, number: int, length: timedelta = HOUR, until_last: timedelta | None = None) -> Arrivals:
    end = length if until_last is None else until_last
    seconds = np.linspace(0, end.total_seconds() * 0.999, number)
    start = np.datetime64(since.replace(tzinfo=None), "us")
    return Arrivals(since, since + length, start + (seconds * 1e6).astype("timedelta64[us]"))


def window(came: Arrivals, earlier: list[Window]) -> Window:
    signals = judge_volume(came, earlier), judge_freshness(came, earlier)
    return Window(
        "churn", 1, came.since, came.until, came.until, len(came.inside), 0, signals, Verdict.QUIET, ()
    )  # fmt: skip


def watch(counts, length: timedelta = HOUR) -> list[Window]:
    """Windows one after another, each told of those before it."""
    windows: list[Window] = []
    for place, number in enumerate(counts):
        windows.append(window(arrivals(MONDAY + place * length, int(number), length), windows))
    return windows


def seasonal(hours: int, seed: int) -> np.ndarray:
    """Rows an hour with a night and a weekend."""
    at = np.arange(hours)
    level = 300 * (1 + 0.8 * np.sin(at % 24 / 24 * 2 * np.pi)) * np.where(at // 24 % 7 >= 5, 0.4, 1.0)
    return np.random.default_rng(seed).poisson(level)


def judged(windows, raised=True):
    return [w for w in windows for signal in w.signals if signal.raised is raised]


@pytest.fixture(scope="module")
def weeks() -> list[Window]:
    return watch(seasonal(24 * 15, 1))


def test_days_nights_and_weekends_are_usual_once_a_week_was_seen(weeks):
    assert judged(weeks) == []
    assert {s.outcome for w in weeks[: 24 * 7] for s in w.signals} == {Outcome.UNKNOWN}
    assert {s.outcome for w in weeks[24 * 7 :] for s in w.signals} == {Outcome.PASS}


@pytest.mark.parametrize("seed", range(2, 6))
def test_no_window_of_usual_traffic_is_raised(seed):
    counts = np.random.default_rng(seed).poisson(100, 24 * 9)
    assert judged(watch(counts)) == []


@pytest.mark.parametrize(("number", "outcome"), [(5, Outcome.FAIL), (300, Outcome.PASS), (5000, Outcome.FAIL)])
def test_a_trickle_and_a_flood_are_told(weeks, number, outcome):
    assert judge_volume(arrivals(weeks[-1].until, number), weeks).outcome is outcome


def test_a_stop_is_told_at_once():
    before = watch([50])
    assert judge_volume(arrivals(MONDAY, 0), []).outcome is Outcome.UNKNOWN
    stopped = judge_volume(arrivals(MONDAY + HOUR, 0, DAY), before)
    assert stopped.outcome is Outcome.FAIL
    assert "no row came in 24 hours" in stopped.why


def test_a_model_that_is_asked_seldom_or_never_at_night_has_not_stopped():
    assert judge_volume(arrivals(MONDAY + DAY, 0, DAY), watch([3], DAY)).outcome is Outcome.UNKNOWN
    offices = watch(np.where(np.arange(24 * 9) % 24 < 12, 200, 0))
    nights = [w for w in offices[24 * 7 :] if not w.rows and w.since.hour > 12]
    assert nights
    assert judged(nights) == []
    stopped = [*offices, *(window(arrivals(offices[-1].until, 0, 2 * DAY), offices),)]
    assert stopped[-1].raised(SignalKind.FRESHNESS)


def test_a_silence_at_the_end_of_a_window_is_told(weeks):
    quiet = arrivals(weeks[-1].until, 400, 6 * HOUR, until_last=HOUR)
    signal = judge_freshness(quiet, weeks)
    assert signal.raised
    assert signal.value == pytest.approx(5 * 3600, abs=60)
    assert signal.bound == 600


def test_a_silence_goes_on_over_windows_without_a_row(weeks):
    silent = [*weeks, window(arrivals(weeks[-1].until, 0), weeks)]
    signal = judge_freshness(arrivals(silent[-1].until, 0), silent)
    assert signal.raised
    assert signal.value == pytest.approx(2 * 3600, abs=60)


def test_an_outage_does_not_become_what_is_usual(weeks):
    after = [*weeks, window(arrivals(weeks[-1].until, 0, DAY), weeks)]
    assert after[-1].signals[1].raised
    assert judge_freshness(arrivals(after[-1].until, 100), after).bound == 600


def test_few_windows_say_nothing_of_what_is_usual():
    few = watch([10] * (ENOUGH_WINDOWS - 1), DAY)
    assert judge_volume(arrivals(few[-1].until, 9999, DAY), few).outcome is Outcome.UNKNOWN
    enough = watch([10] * ENOUGH_WINDOWS, DAY)
    assert judge_volume(arrivals(enough[-1].until, 9999, DAY), enough).outcome is Outcome.FAIL


def test_late_rows_count_in_no_rate():
    came = arrivals(MONDAY, 60)
    late = Arrivals(MONDAY, MONDAY + HOUR, np.concatenate([came.at, came.at - np.timedelta64(1, "D")]))
    assert judge_volume(late, []).value == judge_volume(came, []).value == 60


def test_times_are_read_from_captured_answers():
    moments = [MONDAY + timedelta(minutes=m) for m in (30, 10)]
    answers = pa.table({"at": pa.array(moments, pa.timestamp("us", "UTC"))})
    came = Arrivals.of(answers, MONDAY, MONDAY + HOUR)
    assert judge_volume(came, []).value == 2
    assert judge_freshness(came, []).value == 1800
