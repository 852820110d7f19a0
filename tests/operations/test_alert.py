"""An alert starts one retraining a window and cooldown, and is kept until it is delivered."""

from datetime import datetime, timedelta, timezone

import pytest

from evergreen.drift.alert import DriftAlert
from evergreen.gate.decision import DecisionKind, Reason
from evergreen.operations.alert import raise_alert, refusal
from evergreen.store.entry import Cause
from evergreen.store.facts import FactKind


@pytest.fixture
def seen(monday):
    return DriftAlert(share=0.4, columns=("price", "plan"), window_end=monday, severity="critical")


def test_an_alert_is_kept_with_all_that_it_says(home, seen, later):
    assert raise_alert("churn", seen, home.settings, later(minutes=5))
    fact = home.outbox.known("drift:churn:2026-11-16T06:10:00+00:00")
    assert (fact.kind, fact.at) == (FactKind.DRIFT, later(minutes=5))
    assert DriftAlert(**fact.payload) == seen


def test_a_window_is_reported_once_whatever_zone_it_is_written_in(home, seen, later):
    assert raise_alert("churn", seen, home.settings, later(minutes=5))
    berlin = seen.window_end.astimezone(timezone(timedelta(hours=1)))
    for end in (seen.window_end, berlin, seen.window_end.replace(tzinfo=None)):
        same = seen.model_copy(update={"window_end": end, "share": 0.9})
        assert not raise_alert("churn", same, home.settings, later(days=9))
    assert "reported before, on 2026-11-16 06:15 UTC" in refusal("churn", seen, home.settings, later(days=9))


def test_a_burst_of_alerts_is_one(home, seen, later):
    windows = [seen.model_copy(update={"window_end": later(minutes=m)}) for m in range(10)]
    assert [raise_alert("churn", w, home.settings, later(minutes=20)) for w in windows] == [True] + [False] * 9


def test_alerts_for_one_model_do_not_cool_another(home, seen, later):
    home.write("delay")
    assert raise_alert("churn", seen, home.settings, later(minutes=5))
    assert raise_alert("delay", seen, home.settings, later(minutes=5))


@pytest.mark.parametrize(("hours", "taken"), [(1, False), (11, False), (12, True)])
def test_the_spec_says_how_long_a_model_cools_down(home, seen, later, hours, taken):
    home.write("churn", drift={"cooldown": "12h"})
    assert raise_alert("churn", seen, home.settings, later())
    another = seen.model_copy(update={"window_end": later(hours=hours)})
    assert raise_alert("churn", another, home.settings, later(hours=hours)) is taken


@pytest.mark.parametrize(
    ("parts", "taken"),
    [
        ({"reason": Reason.DRIFT}, False),
        ({"reason": Reason.SCHEDULED}, True),
        ({"reason": Reason.DRIFT, "kind": DecisionKind.SKIP}, True),
        ({"reason": Reason.DRIFT, "cause": Cause.TIMEOUT}, True),
        ({"reason": Reason.DRIFT, "cause": Cause.RECONCILE, "kind": DecisionKind.HOLD}, True),
    ],
)
def test_a_model_cools_down_after_a_retraining_for_drift(home, seen, later, parts, taken):
    home.decide(at=later(hours=1), **parts)
    assert raise_alert("churn", seen, home.settings, later(hours=2)) is taken


def test_an_alert_without_a_window_is_one_of_its_own(home, later):
    bare = DriftAlert(share=0.4)
    assert raise_alert("churn", bare, home.settings, later())
    assert not raise_alert("churn", bare, home.settings, later(hours=1))
    assert raise_alert("churn", bare, home.settings, later(days=1))


def test_a_store_that_is_not_there_yet_is_made(home, seen, later):
    home.settings.store_file.unlink()
    assert raise_alert("churn", seen, home.settings, later())
    assert isinstance(home.outbox.latest("churn", FactKind.DRIFT).at, datetime)
