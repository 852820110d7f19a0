"""`evergreen monitor` on the terminal, over captured traffic; and the doctor, where nobody looks at it."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from evergreen.operations.doctor.finding import Health
from evergreen.operations.doctor.watched import judge_monitoring, overdue
from evergreen.spec import load_spec
from evergreen.store.window import Verdict
from evergreen.store.windows import Windows
from tests.project import shoppers
from tests.served import champion_of, serve

MINUTE = timedelta(minutes=1)


@pytest.fixture
def served(crowned, monkeypatch):
    """A project whose champion took over an hour ago and was asked since; half of what it was told is missing."""
    monkeypatch.setattr("evergreen.cli.monitor.datetime", Later)
    frame = shoppers(days=50, seed=5)
    frame.loc[::2, "waited"] = None
    reign = crowned.ledger.history("tiny")[-1].at
    serve(crowned, champion_of(crowned), frame, reign + MINUTE, span=10 * MINUTE)
    return crowned


class Later(datetime):
    """The clock of an hour later."""

    @classmethod
    def now(cls, zone=None):
        return datetime.now(zone) + timedelta(hours=1)


def test_the_window_that_is_due_is_looked_at_and_printed(served, evergreen):
    assert "tiny: no window yet; evergreen monitor tiny --now" in evergreen("monitor", "tiny").text
    done = evergreen("monitor", "tiny", "--now")
    assert done.code == 0, done.text
    assert "600" in done.text
    assert "QUARANTINE" in done.text
    assert "Faults: waited: 300 of 600 rows null" in done.text
    assert "raised: faults, unseen" in done.text
    again = evergreen("monitor", "tiny", "--now")
    assert "no window yet: 0 rows came, and a window has 500, or 1d" in again.text
    assert "QUARANTINE" in again.text


def test_windows_are_json_for_other_programs_and_a_page_for_people(served, evergreen):
    done = evergreen("monitor", "tiny", "--early", "--json")
    (window,) = json.loads(done.out)
    assert (window["verdict"], window["rows"], window["version"]) == ("quarantine", 600, 1)
    assert window["event"].startswith("faults:tiny:")
    assert {signal["kind"] for signal in window["signals"]} >= {"faults", "input drift", "realised loss"}
    assert datetime.fromisoformat(window["until"]).tzinfo is not None
    assert "reports/tiny/monitoring.html" in evergreen("monitor", "tiny", "--report").text
    page = (served.settings.reports / "tiny" / "monitoring.html").read_text(encoding="utf-8")
    assert "quarantine" in page.lower()


def test_mistakes_end_with_one_message(project, evergreen):
    assert "no window yet: no champion yet" in evergreen("monitor", "tiny", "--now").text
    assert "there is no window to show" in evergreen("monitor", "tiny", "--report").err
    assert evergreen("monitor", "nobody").code == 2


def test_traffic_that_nobody_looks_at_is_told_of_once_its_schedule_came_twice(served, evergreen):
    spec, url = load_spec(served.spec_file), served.settings.store_url
    now = datetime.now(UTC)
    # A day is waited for the window's rows, and two hours for its schedule.
    assert overdue(spec, url, now + timedelta(hours=20)) is None
    since = overdue(spec, url, now + timedelta(hours=30))
    finding = judge_monitoring([(spec, since)], 1)
    assert finding.outcome is Health.WRONG
    assert "evergreen monitor tiny --now" in finding.do
    asleep = spec.model_copy(update={"monitoring": spec.monitoring.model_copy(update={"active": False})})
    assert overdue(asleep, url, now + timedelta(hours=30)) is None
    evergreen("monitor", "tiny", "--now")
    assert Windows(url).last("tiny")[0].verdict is Verdict.QUARANTINE
    assert overdue(spec, url, now + timedelta(hours=30)) is None
    assert judge_monitoring([], 1).outcome is Health.OK
