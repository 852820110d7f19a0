"""Which labels a window counts, and what it may take over from the one before it."""

from contextlib import chdir
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from evergreen.checks import Outcome
from evergreen.monitoring.realised import copied
from evergreen.stages.look import look_at_window
from evergreen.stages.monitor import conclude_window, judge_window, take_window
from evergreen.store.window import SignalKind, Verdict, Window
from tests.project import shoppers
from tests.served import champion_of, serve, tell

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture(scope="module")
def pipeline(crowned_project):
    with chdir(crowned_project.folder):
        return champion_of(crowned_project)


@pytest.fixture
def reign(crowned) -> datetime:
    """When the champion took over."""
    return crowned.ledger.history(crowned.model)[-1].at


def watch(project, now: datetime) -> Window:
    due = take_window(project.model, project.settings, now, early=True)
    seen = look_at_window(due, project.settings)
    return conclude_window(due, seen, judge_window(due, seen, project.settings), project.settings)


def realised(window: Window):
    return window.signal(SignalKind.REALISED)


def opposite(frame) -> list[str]:
    return ["no" if leaves == "yes" else "yes" for leaves in frame["leaves"]]


def test_a_label_that_came_before_its_delay_was_over_counts_once_it_is(crowned, pipeline, reign):
    frame = shoppers(days=50, seed=5)
    answered = serve(crowned, pipeline, frame, reign + MINUTE)
    tell(crowned, answered, opposite(frame), reign + HOUR)
    assert realised(watch(crowned, reign + DAY)).why == "0 labels are in, 200 are needed"
    later = realised(watch(crowned, reign + 8 * DAY))
    assert (later.outcome, later.details["labels"]) == (Outcome.FAIL, 600)


def test_while_no_label_is_new_a_raised_loss_is_copied_and_asks_for_nothing_again(crowned, pipeline, reign):
    frame = shoppers(days=50, seed=5)
    tell(crowned, serve(crowned, pipeline, frame, reign + MINUTE), opposite(frame), reign + 8 * DAY)
    windows = [watch(crowned, reign + days * DAY) for days in (9, 11)]
    assert [window.verdict for window in windows] == [Verdict.RETRAIN, Verdict.ALERT]
    first, second = map(realised, windows)
    assert second == copied(first) != first


def test_a_version_that_was_rolled_back_to_takes_over_nothing_of_its_former_reign(crowned, pipeline, reign):
    frame = shoppers(days=50, seed=5)
    tell(crowned, serve(crowned, pipeline, frame, reign + MINUTE), opposite(frame), reign + 8 * DAY)
    former = watch(crowned, reign + 9 * DAY)
    due = take_window(crowned.model, crowned.settings, reign + 10 * DAY, early=True)
    seen = look_at_window(replace(due, reigns=former.until), crowned.settings)
    assert former.raised(SignalKind.REALISED)
    loss = next(signal for signal in seen.signals if signal.kind is SignalKind.REALISED)
    assert loss.why == "0 labels are in, 200 are needed"


def test_windows_of_its_former_reign_do_not_count(crowned, pipeline, reign):
    moved = shoppers(days=50, seed=5)
    moved["waited"] += 0.9
    serve(crowned, pipeline, moved, reign + MINUTE)
    former = watch(crowned, reign + HOUR)
    serve(crowned, pipeline, moved, reign + 2 * HOUR)
    due = take_window(crowned.model, crowned.settings, reign + 3 * HOUR)
    seen = look_at_window(due, crowned.settings)
    anew = replace(due, reigns=former.until)
    verdicts = [judge_window(each, seen, crowned.settings).verdict for each in (due, anew)]
    assert verdicts == [Verdict.RETRAIN, Verdict.QUIET]
