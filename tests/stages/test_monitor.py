"""A window of live traffic is taken, looked at, judged and written once, with at most one event."""

from contextlib import chdir
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from evergreen.checks import Outcome
from evergreen.drift.alert import DriftAlert
from evergreen.stages.look import look_at_window
from evergreen.stages.monitor import NotDue, conclude_window, judge_window, take_window
from evergreen.store.database import WAIT_SECONDS
from evergreen.store.facts import Fact, FactKind
from evergreen.store.outbox import Outbox
from evergreen.store.quarantine import Held
from evergreen.store.window import SignalKind, Verdict, Window
from evergreen.store.windows import Windows
from tests.project import shoppers
from tests.served import champion_of, serve, tell

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
KINDS = (FactKind.DRIFT, FactKind.PERFORMANCE, FactKind.LABELS, FactKind.FAULTS, FactKind.ALERT)


@pytest.fixture(scope="module")
def pipeline(crowned_project):
    with chdir(crowned_project.folder):
        return champion_of(crowned_project)


@pytest.fixture
def reign(crowned) -> datetime:
    """When the champion took over."""
    return crowned.ledger.history(crowned.model)[-1].at


def rows(number: int = 600, seed: int = 5, **moved: float):
    """Shoppers like those that the champion learnt from; some of their columns moved."""
    frame = shoppers(days=number // 12, seed=seed)
    return frame.assign(**{name: frame[name] + by for name, by in moved.items()})


def watch(project, now: datetime, **options) -> Window | NotDue:
    """A monitoring run, as the flow makes it."""
    due = take_window(project.model, project.settings, now, **options)
    if isinstance(due, NotDue):
        return due
    seen = look_at_window(due, project.settings)
    return conclude_window(due, seen, judge_window(due, seen, project.settings), project.settings)


def told(project) -> list[Fact]:
    """What monitoring told, oldest first."""
    found = Outbox(project.settings.store_url).due("nobody", KINDS, _LATER, _LONG_AGO, 100)
    return list(found)


def test_nothing_is_seen_in_more_of_the_same_and_the_next_window_begins_there(crowned, pipeline, reign):
    serve(crowned, pipeline, rows(), reign + MINUTE)
    window = watch(crowned, reign + HOUR)
    assert (window.verdict, window.rows, window.late, window.event) == (Verdict.QUIET, 600, 0, "")
    assert (window.since, window.until) == (reign, reign + HOUR - MINUTE)
    assert {signal.kind for signal in window.signals} == set(SignalKind)
    assert [signal.why for signal in window.signals if signal.raised] == []
    assert Windows(crowned.settings.store_url).last("tiny") == (window,)
    assert watch(crowned, reign + HOUR) == NotDue("tiny", f"the last window ended at {window.until:%Y-%m-%d %H:%M} UTC")
    serve(crowned, pipeline, rows(seed=6), reign + HOUR)
    assert watch(crowned, reign + 2 * HOUR).since == window.until
    assert told(crowned) == []


def test_too_few_rows_wait_for_more_and_not_for_ever(crowned, pipeline, reign):
    assert watch(crowned, reign + HOUR).why == "no prediction of its champion is captured yet"
    serve(crowned, pipeline, rows(120), reign + MINUTE)
    assert watch(crowned, reign + HOUR).why == "120 rows came, and a window has 500, or 1d"
    window = watch(crowned, reign + DAY + MINUTE)
    assert (window.verdict, window.rows) == (Verdict.UNKNOWN, 120)
    assert window.reasons[0] == "120 rows came, 500 are needed"
    assert watch(crowned, reign + DAY + 2 * HOUR, early=True).rows == 0


def test_a_row_that_is_written_late_is_in_the_next_window_and_in_one_only(crowned, pipeline, reign):
    serve(crowned, pipeline, rows(), reign + MINUTE)
    late = serve(crowned, pipeline, rows(24), reign + 5 * MINUTE, written=3 * HOUR, name="late")
    assert watch(crowned, reign + HOUR).rows == 600
    serve(crowned, pipeline, rows(seed=6), reign + HOUR, span=2 * HOUR)
    assert (watch(crowned, reign + 3 * HOUR + 10 * MINUTE).rows, len(late)) == (600, 24)
    serve(crowned, pipeline, rows(seed=7), reign + 4 * HOUR)
    third = watch(crowned, reign + 5 * HOUR)
    assert (third.rows, third.late) == (624, 24)


@pytest.mark.parametrize(("first", "then"), [("1h", "1m"), ("1m", "1h")])
def test_a_row_is_in_one_window_also_where_the_grace_was_changed(crowned, pipeline, reign, first, then):
    crowned.change(monitoring={"grace": first})
    serve(crowned, pipeline, rows(), reign + MINUTE)
    serve(crowned, pipeline, rows(24), reign + 5 * MINUTE, written=65 * MINUTE, name="late")
    seen = [watch(crowned, reign + 2 * HOUR + 10 * MINUTE)]
    crowned.change(monitoring={"grace": then})
    for hour in (3, 5, 7):
        serve(crowned, pipeline, rows(seed=hour), reign + hour * HOUR)
        seen.append(watch(crowned, reign + (hour + 2) * HOUR + MINUTE, early=True))
    assert sum(window.rows for window in seen) == 4 * 600 + 24


def test_a_row_whose_writing_waits_for_the_store_is_late_however_small_the_grace_is(crowned, pipeline, reign):
    crowned.change(monitoring={"grace": "1s"})
    # Its moment of writing is before the look, and its transaction ended after that.
    serve(crowned, pipeline, rows(), reign + MINUTE, span=30 * MINUTE)
    serve(crowned, pipeline, rows(24), reign + 40 * MINUTE, span=MINUTE, name="waited")
    assert watch(crowned, reign + 41 * MINUTE + (WAIT_SECONDS + 1) * SECOND).rows == 600
    window = watch(crowned, reign + 2 * HOUR, early=True)
    assert (window.rows, window.late) == (24, 24)


def test_a_window_that_shares_a_moment_with_another_is_not_taken_for_it(crowned, pipeline, reign):
    serve(crowned, pipeline, rows(), reign + MINUTE)
    due = take_window("tiny", crowned.settings, reign + HOUR)
    seen = look_at_window(due, crowned.settings)
    judged = judge_window(due, seen, crowned.settings)
    window = conclude_window(due, seen, judged, crowned.settings)
    before = replace(window, since=reign - HOUR, until=reign + MINUTE, rows=7)
    assert Windows(crowned.settings.store_url).write(before)
    assert conclude_window(due, seen, judged, crowned.settings) == window


def test_a_broken_feed_is_quarantined_and_nothing_is_retrained(crowned, pipeline, reign):
    frame = rows()
    frame.loc[::2, "waited"] = None
    serve(crowned, pipeline, frame.assign(spent=frame["spent"] + 3), reign + MINUTE)
    window = watch(crowned, reign + HOUR)
    assert (window.verdict, window.event) == (Verdict.QUARANTINE, f"faults:tiny:{reign.isoformat()}")
    (fact,) = told(crowned)
    assert (fact.key, fact.kind, fact.payload["window_end"]) == (window.event, "faults", window.until.isoformat())
    spans = Windows(crowned.settings.store_url).quarantined("tiny", reign, reign + DAY)
    assert spans == (Held(window.since, window.until),)


def test_drift_of_inputs_and_answers_that_stays_asks_for_one_retraining(crowned, pipeline, reign):
    verdicts = []
    for hour in range(3):
        serve(crowned, pipeline, rows(seed=hour, waited=0.9), reign + hour * HOUR + MINUTE)
        window = watch(crowned, reign + (hour + 1) * HOUR + 2 * MINUTE)
        verdicts.append(window.verdict)
        if window.verdict is Verdict.RETRAIN:
            asked = window
    assert verdicts == [Verdict.QUIET, Verdict.RETRAIN, Verdict.ALERT]
    (fact,) = told(crowned)
    assert (fact.key, fact.kind) == (asked.event, "drift")
    alert = DriftAlert(**fact.payload)
    assert ("waited" in alert.columns, alert.window_end) == (True, asked.until)
    assert Windows(crowned.settings.store_url).asked("tiny", reign) == (asked.looked_at,)


def test_drift_that_does_no_harm_is_told_once_its_labels_show_it(crowned, pipeline, reign):
    crowned.change(data__label_delay="0s")
    for hour in range(2):
        frame = rows(seed=hour, waited=0.9)
        # They wait longer, and leave by the rule that was learnt.
        frame = frame.assign(leaves=["yes" if gap > 0 else "no" for gap in frame["waited"] - frame["spent"]])
        answered = serve(crowned, pipeline, frame, reign + hour * HOUR + MINUTE)
        tell(crowned, answered, list(frame["leaves"]), reign + (hour + 1) * HOUR)
        window = watch(crowned, reign + (hour + 1) * HOUR + 2 * MINUTE)
    assert window.raised(SignalKind.INPUT_DRIFT)
    assert window.raised(SignalKind.PREDICTION_DRIFT)
    assert window.verdict is Verdict.ALERT, window.reasons
    assert any("without harm" in why for why in window.reasons)
    assert [fact.kind for fact in told(crowned)] == ["alert"]


def test_a_loss_that_came_true_asks_for_a_retraining_for_performance(crowned, pipeline, reign):
    # The same customers, who now do the opposite: only their labels can tell.
    frame = rows()
    answered = serve(crowned, pipeline, frame, reign + MINUTE)
    assert watch(crowned, reign + HOUR).verdict is Verdict.QUIET
    tell(crowned, answered, ["no" if leaves == "yes" else "yes" for leaves in frame["leaves"]], reign + 8 * DAY)
    serve(crowned, pipeline, rows(seed=6), reign + 8 * DAY)
    window = watch(crowned, reign + 8 * DAY + HOUR)
    assert window.signal(SignalKind.REALISED).outcome is Outcome.FAIL
    assert not window.raised(SignalKind.INPUT_DRIFT)
    assert window.verdict is Verdict.RETRAIN
    (fact,) = told(crowned)
    assert (fact.kind, fact.payload["version"]) == ("performance", 1)
    assert fact.payload["reasons"] == list(window.reasons)


def test_what_a_broken_feed_cost_is_no_reason_to_retrain(crowned, pipeline, reign):
    frame = rows()
    answered = serve(crowned, pipeline, frame.assign(waited=frame["waited"].mask(frame.index % 2 == 0)), reign + MINUTE)
    assert watch(crowned, reign + HOUR).verdict is Verdict.QUARANTINE
    tell(crowned, answered, ["no" if leaves == "yes" else "yes" for leaves in frame["leaves"]], reign + 8 * DAY)
    serve(crowned, pipeline, rows(seed=6), reign + 8 * DAY)
    window = watch(crowned, reign + 8 * DAY + HOUR)
    assert window.signal(SignalKind.REALISED).why == "0 labels are in, 200 are needed"
    assert window.verdict is Verdict.QUIET


def test_late_rows_of_a_broken_feed_are_in_quarantine_too(crowned, pipeline, reign):
    frame = rows(240)
    serve(crowned, pipeline, rows(), reign + MINUTE)
    late = serve(crowned, pipeline, frame.assign(waited=None), reign + 5 * MINUTE, written=HOUR, name="late")
    assert watch(crowned, reign + HOUR).verdict is Verdict.QUIET
    serve(crowned, pipeline, rows(seed=6), reign + HOUR)
    window = watch(crowned, reign + 2 * HOUR)
    assert (window.verdict, window.late) == (Verdict.QUARANTINE, 240)
    tell(crowned, late, ["no" if leaves == "yes" else "yes" for leaves in frame["leaves"]], reign + 8 * DAY)
    serve(crowned, pipeline, rows(seed=7), reign + 8 * DAY)
    signal = watch(crowned, reign + 8 * DAY + HOUR).signal(SignalKind.REALISED)
    assert signal.why == "0 labels are in, 200 are needed"


def test_what_was_cut_short_is_done_again_and_told_once(crowned, pipeline, reign):
    frame = rows()
    serve(crowned, pipeline, frame.assign(waited=None), reign + MINUTE)
    settings = crowned.settings
    due = take_window("tiny", settings, reign + HOUR)
    seen = look_at_window(due, settings)
    judged = judge_window(due, seen, settings)
    # That one died here; another came an hour later, and then a third with what it had seen before.
    first = watch(crowned, reign + 2 * HOUR)
    assert conclude_window(due, seen, judged, settings) == first
    assert [fact.key for fact in told(crowned)] == [first.event]
    assert Windows(settings.store_url).last("tiny", 9) == (first,)


def test_what_is_never_captured_is_not_looked_at_and_that_is_said(crowned, pipeline, reign):
    crowned.change(serving={"capture": {"leave_out": ["plan"]}})
    serve(crowned, pipeline, rows(), reign + MINUTE, leave_out=["plan"])
    window = watch(crowned, reign + HOUR)
    assert window.signal(SignalKind.FAULTS).details["not_looked_at"] == ["plan"]
    assert {each["column"] for each in window.signal(SignalKind.INPUT_DRIFT).details["columns"]} == {"waited", "spent"}
    assert window.verdict is Verdict.QUIET
    assert "'plan' is not captured" in window.signal(SignalKind.SKEW).why


def test_without_a_champion_there_is_nothing_to_look_at(project):
    assert watch(project, datetime.fromisoformat("2026-05-01T00:00:00Z")).why == "no champion yet"


_LONG_AGO, _LATER = (datetime.fromisoformat(f"{year}-01-01T00:00:00Z") for year in (2020, 2100))
