"""What serving counted of requests is a part of the window of their time, though none of their rows is captured."""

from contextlib import chdir
from dataclasses import replace
from datetime import timedelta

import pytest

from evergreen.checks import Outcome
from evergreen.registry.versions import Registry
from evergreen.stages.look import look_at_window
from evergreen.stages.monitor import conclude_window, judge_window, take_window
from evergreen.store.asked import Asked, Minute, Requests
from evergreen.store.traffic import Traffic
from evergreen.store.window import SignalKind, Verdict
from tests.project import shoppers
from tests.served import champion_of, serve

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture(scope="module")
def pipeline(crowned_project):
    with chdir(crowned_project.folder):
        return champion_of(crowned_project)


def test_skew_is_of_the_champions_rows_in_the_window_and_always_told(crowned, pipeline, monkeypatch):
    reign = crowned.ledger.history(crowned.model)[-1].at
    made = serve(crowned, pipeline, shoppers(days=50, seed=1), reign + MINUTE)
    # Newer than the window, and another version's that is damaged: neither is looked at.
    other = [replace(row, prediction="?", id=f"x{row.id}", version=2, at=row.at + 2 * HOUR) for row in made[:300]]
    same = [replace(row, prediction="?", id=f"y{row.id}", at=row.at + 2 * HOUR) for row in made[:300]]
    Traffic(crowned.settings.store_url).write([*other, *same], reign + HOUR)
    due, version = take_window(crowned.model, crowned.settings, reign + HOUR + MINUTE), Registry.version
    monkeypatch.setattr(Registry, "version", lambda *asked: replace(version(*asked), digest="0" * 64))
    health = due.spec.monitoring.health
    none = due.spec.monitoring.model_copy(update={"health": health.model_copy(update={"skew_sample": 0})})
    cases = [due, replace(due, until=due.since), replace(due, spec=due.spec.model_copy(update={"monitoring": none}))]
    found = [_signal(look_at_window(each, crowned.settings), SignalKind.SKEW) for each in cases]
    assert [signal.outcome for signal in found] == [Outcome.PASS, Outcome.UNKNOWN, Outcome.UNKNOWN]
    assert found[0].details["rows"] == health.skew_sample
    assert [signal.why for signal in found[1:]] == [
        "no captured row was answered again",
        "monitoring.health.skew_sample is 0: no row is answered again",
    ]


def test_rows_of_which_no_input_may_be_looked_at_are_counted(crowned, pipeline):
    crowned.change(serving={"capture": {"leave_out": ["waited", "spent", "plan"]}})
    reign = crowned.ledger.history(crowned.model)[-1].at
    serve(crowned, pipeline, shoppers(days=50, seed=1), reign + MINUTE)
    seen = look_at_window(take_window(crowned.model, crowned.settings, reign + HOUR), crowned.settings)
    assert seen.rows == 600
    assert _signal(seen, SignalKind.PREDICTION_DRIFT).outcome is Outcome.PASS


def test_the_minute_in_which_a_window_ends_counts_as_a_whole_in_the_next(crowned, pipeline):
    reign, book = crowned.ledger.history(crowned.model)[-1].at, Requests(crowned.settings.store_url)
    last = (reign + HOUR).replace(second=0, microsecond=0)
    serve(crowned, pipeline, shoppers(days=50, seed=1), reign + MINUTE)
    serve(crowned, pipeline, shoppers(days=50, seed=2), reign + HOUR + MINUTE)
    seen, errors = [], []
    for counted, now in ((Asked(10), last + 90 * SECOND), (Asked(10, 0, 60), last + 2 * HOUR)):
        # Serving writes what there is of the running minute, and later all of it in its place.
        book.write("a", [Minute(crowned.model, last - MINUTE, Asked(600)), Minute(crowned.model, last, counted)])
        due = take_window(crowned.model, crowned.settings, now)
        seen.append(look_at_window(due, crowned.settings))
        errors.append(_signal(seen[-1], SignalKind.ERRORS).details)
        conclude_window(due, seen[-1], judge_window(due, seen[-1], crowned.settings), crowned.settings)
    assert [(found["answered"], found["failed"]) for found in errors] == [(600, 0), (10, 60)]


def _signal(seen, kind):
    return next(signal for signal in seen.signals if signal.kind is kind)


def test_requests_that_were_refused_or_failed_at_are_seen(crowned, pipeline):
    reign, store_url = crowned.ledger.history(crowned.model)[-1].at, crowned.settings.store_url
    seen = []
    for hour, counted in enumerate(
        (Asked(600, 3, 0, {"spent: min": 3}), Asked(600, 0, 30), Asked(600, 300, 0, {"spent: min": 300}))
    ):
        start = reign + hour * HOUR + MINUTE
        serve(crowned, pipeline, shoppers(days=50, seed=hour), start)
        Requests(store_url).write("a", [Minute(crowned.model, start, counted)])
        due = take_window(crowned.model, crowned.settings, start + HOUR + MINUTE)
        looked = look_at_window(due, crowned.settings)
        window = conclude_window(due, looked, judge_window(due, looked, crowned.settings), crowned.settings)
        seen.append((window.verdict, window.raised(SignalKind.ERRORS), window.raised(SignalKind.FAULTS)))
    assert seen == [(Verdict.QUIET, False, False), (Verdict.ALERT, True, False), (Verdict.QUARANTINE, False, True)]
    assert "300 of 900 requests were refused, as they break min" in window.reasons[0]
