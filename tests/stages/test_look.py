"""What serving counted of requests is a part of the window of their time, though none of their rows is captured."""

from contextlib import chdir
from datetime import timedelta

import pytest

from evergreen.stages.look import look_at_window
from evergreen.stages.monitor import conclude_window, judge_window, take_window
from evergreen.store.asked import Asked, Minute, Requests
from evergreen.store.window import SignalKind, Verdict
from tests.project import shoppers
from tests.served import champion_of, serve

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture(scope="module")
def pipeline(crowned_project):
    with chdir(crowned_project.folder):
        return champion_of(crowned_project)


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
