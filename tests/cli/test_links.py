"""A link that does not close is said, and is the end: a quiet loop must not be taken for one that works."""

import time
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from rich.console import Console

from evergreen.checks import Outcome
from evergreen.cli.links import Links
from evergreen.settings import Settings
from evergreen.simulation.caller import Caller, Plan, Sent
from evergreen.simulation.client import Server
from evergreen.store.ledger import Ledger
from evergreen.store.window import Signal, SignalKind, Verdict, Window
from evergreen.store.windows import Windows
from tests.simulation.test_caller import SPEC, pool

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path):
    found = Settings.from_environment({"EVERGREEN_HOME": str(tmp_path)})
    Ledger(found.store_url).prepare()
    return found


def caller(answered=1):
    sent = Sent(rows=answered)
    sent.versions.update({1: answered} if answered else {})
    return Caller(pool(), SPEC, Plan(), Server("http://127.0.0.1:9", "parcels"), lambda: NOW, time.sleep, sent)


def window(number, verdict, **loss):
    since = NOW + timedelta(minutes=number)
    signals = (Signal(SignalKind.REALISED, Outcome.PASS, "the loss", **loss),)
    times = (since, since + timedelta(minutes=1), since + timedelta(minutes=1))
    return Window("parcels", 1, *times, 1000, 0, signals, verdict, ("a reason",))


def close(settings, who, *windows, seconds=0.2, broken=""):
    for one in windows:
        assert Windows(settings.store_url).write(one)
    said, begun = StringIO(), time.monotonic()
    links = Links(settings, "parcels", who, Console(file=said, width=200), begun, begun + seconds, broken)
    return links.close(1), said.getvalue()


def test_what_did_not_come_in_time_is_named(settings):
    closed, said = close(settings, caller(0))
    assert not closed
    assert "in time there was not: the first answer" in said
    closed, said = close(settings, caller())
    assert not closed
    assert "in time there was not: 1 quiet windows" in said


def test_traffic_that_ends_is_the_end(settings):
    closed, said = close(settings, caller(0), broken="the server knows no such model", seconds=60)
    assert not closed
    assert "the traffic ended: the server knows no such model" in said


@pytest.mark.parametrize("verdict", [Verdict.RETRAIN, Verdict.QUARANTINE])
def test_an_alarm_before_anything_drifted_is_no_closed_loop(settings, verdict):
    closed, said = close(settings, caller(), window(0, Verdict.QUIET), window(1, verdict), seconds=5)
    assert not closed
    assert "a window alarmed before anything drifted: a reason" in said


def test_nothing_that_happens_after_the_drift_is_not_a_loop_either(settings):
    who = caller()
    closed, said = close(settings, who, window(0, Verdict.QUIET), seconds=1.2)
    assert not closed
    assert who.drifting
    assert "in time there was not: a window that asks for a retraining" in said
