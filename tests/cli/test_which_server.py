"""Which Prefect server a command talks to, and what is said of one that does not answer or lets nobody in."""

import os
import socket
from datetime import UTC, datetime

import pytest

from evergreen.cli.launch import environment, use_running_server
from evergreen.cli.server import known_server, require_chosen, require_server
from evergreen.errors import UnavailableError, UserError
from evergreen.operations.doctor.patient import Patient
from evergreen.operations.doctor.server import chosen_server
from evergreen.orchestrator.api import PrefectApi, Refused
from evergreen.settings import Settings
from evergreen.supervisor.state import UpState, write_state

HERE = "http://127.0.0.1:4321/api"


@pytest.fixture
def settings(tmp_path):
    return Settings.from_environment({"EVERGREEN_HOME": str(tmp_path)})


@pytest.fixture
def up(settings):
    """`evergreen up` as far as others see it, with a server that nobody started."""
    write_state(settings.home, UpState(os.getpid(), HERE, "http://127.0.0.1:4321", None, datetime.now(UTC)))


def test_the_environment_goes_before_what_is_up_here(settings, up):
    assert known_server(settings, {}) == PrefectApi(HERE)
    assert known_server(settings, {"PREFECT_SERVER_API_AUTH_STRING": "a:b"}) == PrefectApi(HERE, "a:b")
    both = {"PREFECT_API_AUTH_STRING": "c:d", "PREFECT_SERVER_API_AUTH_STRING": "a:b"}
    assert known_server(settings, both) == PrefectApi(HERE, "c:d")
    named = {"PREFECT_API_URL": "http://there/api/", "PREFECT_SERVER_API_AUTH_STRING": "a:b"}
    assert known_server(settings, named) == PrefectApi("http://there/api", "a:b")


def test_the_doctor_looks_at_the_same_server(settings, up):
    environ = {"PREFECT_SERVER_API_AUTH_STRING": "a:b"}
    assert chosen_server(Patient(settings, environ, lambda: datetime.now(UTC))) == known_server(settings, environ)


def test_without_any_server_the_next_step_is_said(settings):
    assert known_server(settings, {}) is None
    with pytest.raises(UserError, match=r"start `evergreen up`, or set PREFECT_API_URL"):
        require_server(settings, {})
    require_chosen({})


def test_prefects_client_is_told_the_password_that_its_server_asks_for(settings, monkeypatch):
    monkeypatch.delenv("PREFECT_API_AUTH_STRING", raising=False)
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "eva:s3cret")
    with environment(settings):
        assert os.environ["PREFECT_API_AUTH_STRING"] == "eva:s3cret"
    assert "PREFECT_API_AUTH_STRING" not in os.environ


@pytest.fixture
def down():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/api"


def test_a_run_on_a_server_that_is_down_ends_in_one_line(project, evergreen, monkeypatch, down):
    monkeypatch.setenv("PREFECT_API_URL", down)
    answer = evergreen("run", "tiny", "--dry-run")
    assert answer.code == 1
    (line,) = answer.err.strip().splitlines()
    assert line.startswith(f"evergreen: Prefect's server at {down}")
    assert "does not answer" in line
    with pytest.raises(UnavailableError, match="does not answer"):
        require_server(project.settings, os.environ)


@pytest.mark.slow
def test_a_server_that_lets_nobody_in_asks_for_its_password(project, evergreen, prefect_server, monkeypatch):
    api = prefect_server.api
    for name in ("PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_API_URL", api.url)
    answer = evergreen("run", "tiny")
    assert answer.code == 2
    (line,) = answer.err.strip().splitlines()
    assert line.endswith("set PREFECT_API_AUTH_STRING to user:password")
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", api.auth)
    require_chosen(os.environ)

    monkeypatch.delenv("PREFECT_API_URL")
    state = UpState(os.getpid(), api.url, api.url.removesuffix("/api"), None, datetime.now(UTC))
    write_state(project.settings.home, state)
    for name in ("PREFECT_API_URL", "PREFECT_UI_URL", "PREFECT_API_AUTH_STRING"):
        monkeypatch.setenv(name, "")  # put back after the test
    assert use_running_server(project.settings) == state
    assert os.environ["PREFECT_API_AUTH_STRING"] == api.auth
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "eva:wrong")
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "")
    with pytest.raises(Refused, match="401"):
        use_running_server(project.settings)
