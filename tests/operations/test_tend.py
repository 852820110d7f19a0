"""A pass does everything that can be done; what fails is said and stops nothing else."""

import logging

import pytest

from evergreen.gate.decision import DecisionKind
from evergreen.operations.tend import tend
from evergreen.orchestrator.api import PrefectApi
from evergreen.store.facts import FactKind
from tests.servers import free_port


def crew(home, receiver):
    home.write("churn", notify=[{"kind": "webhook", "url_env": "CREW"}])
    return {"CREW": receiver.url()}


def test_what_there_is_to_tell_is_told_without_a_server(home, receiver, later):
    environ = crew(home, receiver)
    home.fact("one")
    assert tend(home.settings, None, later(minutes=1), environ) == ["relay: webhook:CREW is told churn rejected (one)"]
    assert tend(home.settings, None, later(minutes=2), environ) == []


def test_what_a_pass_notices_it_tells_at_once(home, receiver, later):
    environ = crew(home, receiver)
    tend(home.settings, None, later(), environ)
    lines = tend(home.settings, None, later(days=15), environ)
    assert [line.split(":")[0] for line in lines] == ["silence", "relay"]
    assert [body["kind"] for _, _, body in receiver.taken] == ["silence"]


def test_a_server_that_is_down_is_said_and_messages_go_out(home, receiver, later):
    environ = crew(home, receiver)
    home.fact("one")
    api = PrefectApi(f"http://eva:s3cret@127.0.0.1:{free_port()}/api")
    lines = tend(home.settings, api, later(minutes=1), environ)
    assert lines[0].endswith("does not answer; alerts and dead runs wait for it")
    assert "s3cret" not in lines[0]
    assert len(receiver.taken) == 1


def test_a_broken_spec_is_said_and_the_others_go_on(home, receiver, later):
    environ = crew(home, receiver)
    (home.settings.configs / "broken.yaml").write_text("model: [")
    home.fact("one")
    lines = tend(home.settings, None, later(minutes=1), environ)
    assert "broken.yaml:1: is not valid YAML" in lines[0]
    assert len(receiver.taken) == 1


def test_a_spec_is_read_again_when_it_has_changed(home, receiver, later):
    environ = crew(home, receiver)
    home.fact("one", FactKind.PROMOTED)
    home.write("churn", notify=[{"kind": "webhook", "url_env": "CREW", "on": ["rejected"]}])
    assert tend(home.settings, None, later(minutes=1), environ) == []
    home.write("churn", notify=[{"kind": "webhook", "url_env": "CREW", "on": ["rejected", "promoted"]}])
    assert len(tend(home.settings, None, later(minutes=2), environ)) == 1


def test_without_a_store_one_line_says_so(home, later):
    home.settings.store_file.unlink()
    home.settings.store_file.mkdir()
    [line] = tend(home.settings, None, later(), {})
    assert line.startswith("store: ")


class Broken:
    """A server that answers, and answers nonsense."""

    url = "http://prefect/api"

    def health(self):
        return True

    def __getattr__(self, name):
        raise ZeroDivisionError(name)


def test_our_own_mistakes_are_logged_and_stop_nothing_else(home, receiver, later, caplog):
    environ = crew(home, receiver)
    home.fact("one", FactKind.NOTE)
    tend(home.settings, None, later(), environ)
    with caplog.at_level(logging.ERROR):
        lines = tend(home.settings, Broken(), later(days=15), environ)
    assert lines[0] == "crashed: ZeroDivisionError, see the log"
    assert lines[1].startswith("silence: churn")
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(("days", "lapsed"), [(1.9, False), (2, True)])
def test_what_nobody_answered_in_time_is_rejected_and_told(home, receiver, later, days, lapsed):
    home.write("churn", promotion={"approve_within": "2d"}, notify=[{"kind": "webhook", "url_env": "CREW"}])
    environ = {"CREW": receiver.url()}
    parts = {"training_key": "c3", "mlflow_run": "a1", "model_digest": "b2"}
    held = home.decide(kind=DecisionKind.HOLD, **parts)
    tend(home.settings, None, later(minutes=1), environ)
    lines = tend(home.settings, None, later(days=days), environ)
    said = f"approvals: decision {held.id} of churn was not answered in time and is rejected"
    assert (said in lines) is lapsed
    assert [body["kind"] for _, _, body in receiver.taken] == ["held", "rejected"][: 1 + lapsed]
