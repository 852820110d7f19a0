"""Two hundred windows in which nothing happens: signals are raised by chance, and nothing follows from it."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from evergreen.drift.profile import build_profile
from evergreen.monitoring.drift import Yardstick, measure_counts
from evergreen.monitoring.policy import decide
from evergreen.spec.monitoring import MonitoringRules
from evergreen.store.window import Verdict, Window

RULES, HOUR = MonitoringRules(), timedelta(hours=1)
INPUTS = [f"input {number}" for number in range(6)]


def rows(draw: np.random.Generator, number: int) -> pd.DataFrame:
    frame = pd.DataFrame(draw.normal(size=(number, len(INPUTS))), columns=INPUTS)
    return frame.assign(prediction=1 / (1 + np.exp(-frame["input 0"] - frame["input 1"] / 2)))


def watched(windows: int, moved: float = 0.0, seed: int = 0) -> list[Window]:
    """Windows of 500 rows, one an hour; two inputs of which the model makes something have moved."""
    draw = np.random.default_rng(seed)
    reference = rows(draw, 5000)
    roles = {**dict.fromkeys(INPUTS, "input"), "prediction": "prediction"}
    profile = build_profile(reference, dict.fromkeys(roles, "number"))
    yardstick = Yardstick(profile, reference, roles, {"input 0": 0.2, "input 1": 0.1}, RULES.drift, 0)
    found: list[Window] = []
    for hour in range(windows):
        now = datetime(2026, 3, 2, tzinfo=UTC) + hour * HOUR
        frame = rows(draw, 500)
        frame["prediction"] += moved / 4
        signals = measure_counts(
            yardstick.begin().add(frame.assign(**{"input 0": frame["input 0"] + moved})), yardstick
        )
        asked = [window.looked_at for window in found if window.verdict is Verdict.RETRAIN]
        judged = decide(signals, found, RULES, asked, now)
        event = "told" if judged.told else ""
        found.append(Window("m", 3, now - HOUR, now, now, 500, 0, signals, judged.verdict, judged.reasons, event))
    return found


def test_nothing_follows_from_nothing():
    windows = watched(200)
    assert any(signal.raised for window in windows for signal in window.signals), "chance raises some"
    assert {window.verdict for window in windows} == {Verdict.QUIET}
    assert [window.event for window in windows if window.event] == []


def test_a_drift_that_stays_is_seen_in_the_second_window_and_asked_for_once_a_day():
    windows = watched(30, moved=0.5)
    asked = [place for place, window in enumerate(windows) if window.verdict is Verdict.RETRAIN]
    assert asked == [1, 25]
    assert [place for place, window in enumerate(windows) if window.event] == asked
