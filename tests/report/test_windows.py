"""The page of a model's windows: what is on it, what it fetches, how large it is; and the text of one window."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from docs import example_windows as example
from evergreen.checks import Outcome
from evergreen.gate.decision import DecisionKind, Reason
from evergreen.report.axes import TimeAxis, ValueAxis
from evergreen.report.marks import History, MarkKind, find_marks
from evergreen.report.series import read_series
from evergreen.report.window_picture import draw
from evergreen.report.window_text import to_markdown
from evergreen.report.windows import moved_columns, page, render_windows
from evergreen.store.entry import Cause, Crown, LedgerEntry
from evergreen.store.window import Signal, SignalKind, Verdict, Window
from tests.report.test_report import NASTY, Reader

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
NOTHING = History()


def window(hour: int = 0, *signals: Signal, version: int = 3, verdict: Verdict = Verdict.QUIET, **changes) -> Window:
    since = NOON + hour * HOUR
    made = Window("churn", version, since, since + HOUR, since + HOUR, 700, 0, signals, verdict, ("Nothing moved",))
    return replace(made, **changes)


def drift(value: float, bound: float = 0.1, **details) -> Signal:
    outcome = Outcome.FAIL if value > bound else Outcome.PASS
    return Signal(SignalKind.INPUT_DRIFT, outcome, "price moved", value, bound, details=details)


def entry(number: int, kind: DecisionKind, reason: Reason = Reason.SCHEDULED, **changes) -> LedgerEntry:
    at = NOON + number * HOUR
    return replace(LedgerEntry("churn", kind, ("said so",), (), reason, at, at, "eva", id=number), **changes)


@pytest.fixture(scope="module")
def full() -> str:
    return page(example.windows(500), example.history(), example.WORDS)


def test_five_hundred_windows_are_a_small_file_that_needs_nothing_else(full):
    assert len(full.encode()) < 500_000
    assert Reader(full).fetched == []
    assert not re.search(r"@import|url\(|<script", full)
    assert re.findall(r"https?://[^\"<]+", full) == ["http://www.w3.org/2000/svg"]


def test_it_says_what_the_newest_window_asks_for_and_what_that_means(full):
    text = Reader(full).text
    for part in ("Nothing has to be done", "What that means", "Customers are those", "Over time", "All windows"):
        assert part in text
    assert "version 7" in text


def test_what_is_drawn_is_said_as_well(full):
    labels = re.findall(r'aria-label="([^"]+)"', full)
    summary = next(label for label in labels if label.startswith("500 windows"))
    assert "8 quarantine" in summary
    assert "back to version 7, as a person rolled back" in summary
    for title in ("Drift of the inputs", "Drift of the answers", "Estimated loss", "Realised loss"):
        assert any(label.startswith(title) and "newest" in label for label in labels)


@pytest.mark.parametrize(("verdict", "words"), [
    (Verdict.RETRAIN, "A retraining is asked for"),
    (Verdict.QUARANTINE, "The feed is broken"),
    (Verdict.LABELS, "Labels are wanted"),
    (Verdict.UNKNOWN, "Too little came"),
])  # fmt: skip
def test_every_verdict_has_its_words(verdict, words):
    assert words in Reader(page([window(verdict=verdict)], NOTHING)).text


def test_names_from_the_data_are_text_and_never_markup():
    moved = {"column": NASTY, "effect": 0.4, "weight": 0.3, "threshold": 0.1, "moved": True, "raised": True}
    odd = window(0, drift(0.5, columns=[moved | {"what": NASTY}]), reasons=(NASTY, NASTY))
    made = page([odd], History([entry(0, DecisionKind.REJECT, reasons=(NASTY,))]), NASTY)
    assert "<script" not in made
    assert NASTY in Reader(made).text


def test_a_window_without_a_single_signal_can_be_shown():
    text = Reader(page([window()], NOTHING)).text
    assert text.count("not looked at yet") == 4


def test_nothing_cannot_be_shown():
    with pytest.raises(ValueError, match="no window"):
        page([], NOTHING)


def test_the_page_is_written_into_a_folder_that_is_not_there_yet(tmp_path):
    path = tmp_path / "reports" / "churn" / "monitoring.html"
    assert render_windows([window()], NOTHING, path) == path
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_columns_that_held_still_are_not_listed():
    columns = [
        {"column": name, "effect": 0.2, "weight": 0.5, "threshold": 0.1, "moved": moved, "raised": False, "what": ""}
        for name, moved in (("price", True), ("plan", False))
    ]
    assert [each.column for each in moved_columns(window(0, drift(0.3, columns=columns)))] == ["price"]


def test_a_line_ends_where_a_value_is_missing_or_another_champion_reigns():
    windows = [window(0, drift(0.1)), window(1, drift(0.2)), window(2), window(3, drift(0.3)),
               window(4, drift(0.4), version=4)]  # fmt: skip
    runs = read_series(SignalKind.INPUT_DRIFT, windows).runs
    assert [[point.value for point in run] for run in runs] == [[0.1, 0.2], [0.3], [0.4]]


def test_a_broken_feed_does_not_flatten_everything_else():
    windows = [window(0, drift(0.05)), window(1, drift(9.0), verdict=Verdict.QUARANTINE)]
    assert max(read_series(SignalKind.INPUT_DRIFT, windows).extent) < 1
    (shaded,) = draw(windows, ()).shaded
    assert shaded.x > 500


def test_the_line_is_the_weighted_distance_also_where_one_column_raised_the_signal():
    signal = replace(drift(0.5), details={"score": 0.03, "score_bound": 0.06})
    (run,) = read_series(SignalKind.INPUT_DRIFT, [window(0, signal)]).runs
    assert (run[0].value, run[0].bound, run[0].raised) == (0.03, 0.06, True)


def test_runs_and_what_came_of_them_are_marked_once():
    decisions = [
        entry(1, DecisionKind.PROMOTE, Reason.DRIFT, version=4),
        entry(2, DecisionKind.REJECT, Reason.PERFORMANCE),
        entry(3, DecisionKind.HOLD, version=5),
        entry(4, DecisionKind.PROMOTE, version=5, cause=Cause.APPROVAL, resolves=3),
        entry(5, DecisionKind.PROMOTE, Reason.MANUAL, version=4, cause=Cause.ROLLBACK),
    ]
    crowns = [Crown(number, "churn", version, NOON + number * HOUR) for number, version in ((1, 4), (4, 5), (5, 4))]
    marks = find_marks(History(decisions, crowns), NOON, NOON + 9 * HOUR)
    assert [(mark.kind, mark.label) for mark in marks] == [
        (MarkKind.PROMOTION, "v4"),
        (MarkKind.RETRAINING, "performance"),
        (MarkKind.RETRAINING, "scheduled"),
        (MarkKind.PROMOTION, "v5"),
        (MarkKind.ROLLBACK, "v4"),
    ]
    assert "for drift" in marks[0].why
    assert "as a person approved it; the retraining was on schedule" in marks[3].why
    assert find_marks(History(decisions, crowns), NOON + 6 * HOUR, NOON + 9 * HOUR) == ()


def test_a_mark_and_a_window_of_one_moment_stand_at_one_place():
    at = NOON + 2 * HOUR
    windows = [window(hour) for hour in range(4)]
    marks = find_marks(History([entry(2, DecisionKind.PROMOTE)], [Crown(2, "churn", 4, at)]), NOON, NOON + 4 * HOUR)
    picture = draw(windows, marks)
    assert picture.lines[0].x == picture.hovers[2].x == (picture.left + picture.right) / 2


def test_names_of_marks_do_not_stand_in_each_others_way():
    crowns = [Crown(number, "churn", number, NOON + timedelta(minutes=number)) for number in range(1, 60)]
    lines = draw([window(hour) for hour in range(24)], find_marks(History((), crowns), NOON, NOON + 24 * HOUR)).lines
    named = sorted(line.x for line in lines if line.label)
    assert len(lines) == 59
    assert all(b - a >= 30 for a, b in pairwise(named))


@pytest.mark.parametrize("span", [HOUR, 7 * HOUR, timedelta(days=3), timedelta(days=70), timedelta(days=3000)])
def test_an_axis_of_time_has_a_few_round_names(span):
    ticks = TimeAxis(NOON, NOON + span, 0, 900).ticks()
    assert 2 <= len(ticks) <= 13
    assert len({x for x, _ in ticks}) == len(ticks)


@pytest.mark.parametrize(("low", "high"), [(0, 0.0031), (0, 1), (0.08, 0.23), (-3, 5), (0, 4711), (2, 2)])
def test_an_axis_of_values_has_a_few_round_names(low, high):
    assert 1 <= len(ValueAxis(low, high, 0, 120).ticks()) <= 6


def test_a_window_as_markdown_names_what_was_raised_first():
    quiet = Signal(SignalKind.FAULTS, Outcome.PASS, "500 rows keep every rule", 0.0, 0.0)
    odd = Signal(SignalKind.REALISED, Outcome.FAIL, "a|b\n*c*", 0.2, 0.1, 0.15, 0.25)
    text = to_markdown(window(0, quiet, odd, verdict=Verdict.RETRAIN, late=3, event="performance:churn"))
    rows = text[text.index("| --- ") :].splitlines()[1:]
    assert text.startswith("**RETRAIN** · churn · version 3 · 700 rows, 3 of them late")
    assert rows[0] == r"| realised loss | **raised** | 0.2000 | 0.1000 | 0.1500 – 0.2500 | a\|b \*c\* |"
    assert rows[1].startswith("| faults | ok |")
    assert "- Nothing moved" in text
    assert "`performance:churn`" in text
