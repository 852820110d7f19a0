"""An MLflow that does not answer is never read as "there is none"."""

import http.server
import socket
import sqlite3
import threading
import traceback
from contextlib import closing

import pytest

from evergreen.errors import EvergreenError, UnavailableError, UserError
from evergreen.registry.answers import answering
from evergreen.registry.handles import RunHandle
from evergreen.registry.smoke import smoke_test
from evergreen.registry.tracking import Tracking
from evergreen.registry.trials import log_trials
from evergreen.registry.versions import Registry

EVERY_DOOR = {
    "prepare": lambda tracking: tracking.prepare(),
    "start_run": lambda tracking: tracking.start_run("churn", "a", {}),
    "start_child": lambda tracking: tracking.start_child(RunHandle("r", "1"), "a", {}),
    "finish": lambda tracking: tracking.finish("r"),
    "log_metrics": lambda tracking: tracking.log_metrics("r", {"a": 1.0}),
    "find_unfinished": lambda tracking: tracking.find_unfinished("churn", "k1"),
    "tags": lambda tracking: tracking.tags("r"),
    "champion": lambda tracking: Registry(tracking).champion("churn"),
    "champion_version": lambda tracking: Registry(tracking).champion_version("churn"),
    "versions": lambda tracking: Registry(tracking).versions("churn"),
    "promote": lambda tracking: Registry(tracking).promote("churn", 1, None),
    "smoke_test": lambda tracking: smoke_test(tracking, "models:/churn/1", "d"),
}


@pytest.fixture
def refusing_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        yield taken.getsockname()[1]


@pytest.mark.parametrize("door", EVERY_DOOR)
@pytest.mark.parametrize("scheme", ["http", "postgresql"])
def test_a_server_that_is_down_is_one_clear_error_at_every_door(refusing_port, tmp_path, scheme, door):
    tracking = Tracking(f"{scheme}://eva:s3cret@127.0.0.1:{refusing_port}/x", str(tmp_path))
    with pytest.raises(
        UnavailableError, match=r"eva:\*\*\*@127\.0\.0\.1.*does not answer.*MLFLOW_TRACKING_URI"
    ) as caught:
        EVERY_DOOR[door](tracking)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "uri",
    [
        "http://eva:zebra77@mlflow:port",
        "http://eva:zebra/77@mlflow",
        "http://eva:zebra77@[::1",
        "postgresql://eva:zebra77@db:port/mlflow",
        "postgresql://eva:zebra/77@db/mlflow",
    ],
)
def test_an_address_that_cannot_be_one_is_a_mistake_of_the_user_and_its_password_stays_secret(uri, tmp_path):
    with pytest.raises(UserError, match=r"MLFLOW_TRACKING_URI: .*eva:\*\*\*@") as caught:
        Tracking(uri, str(tmp_path)).prepare()
    told = "".join(traceback.format_exception(caught.value))
    assert "zebra" not in told


@pytest.mark.parametrize("kind", [OSError, "mlflow"])
def test_what_mlflow_repeats_of_its_address_is_neither_in_the_message_nor_in_the_trace(kind):
    from mlflow.exceptions import MlflowException

    uri = "postgresql://eva:zebra%4077@db/mlflow"
    error = (MlflowException if kind == "mlflow" else kind)(f"cannot open {uri}, as eva with zebra@77")
    with pytest.raises(UnavailableError) as caught, answering(uri):
        raise error
    assert "zebra" not in "".join(traceback.format_exception(caught.value))


def test_a_server_that_goes_down_between_two_calls_is_unavailable(refusing_port, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr("evergreen.registry.tracking.probe", lambda uri: None)
    tracking = Tracking(f"http://127.0.0.1:{refusing_port}", str(tmp_path))
    for door in ("champion", "find_unfinished", "start_run"):
        with pytest.raises(UnavailableError):
            EVERY_DOOR[door](tracking)


class WrongServer(http.server.BaseHTTPRequestHandler):
    """Something that is not MLflow: every page is missing, as HTML or as JSON."""

    body = b""

    def do_GET(self):
        self.send_response(404)
        self.end_headers()
        self.wfile.write(self.body)

    do_POST = do_GET  # noqa: N815 - the name that http.server calls

    def log_message(self, *args):
        pass


@pytest.mark.parametrize("body", [b"<h1>Not Found</h1>", b'{"detail": "Not Found"}', b""])
def test_a_page_that_is_missing_on_another_server_is_no_missing_champion(tmp_path, body):
    handler = type("Handler", (WrongServer,), {"body": body})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tracking = Tracking(f"http://127.0.0.1:{server.server_address[1]}", str(tmp_path))
        with pytest.raises(EvergreenError):
            Registry(tracking).champion("churn")
        with pytest.raises(EvergreenError):
            tracking.find_unfinished("churn", "k1")
        server.shutdown()


def test_a_database_that_breaks_under_a_champion_is_no_missing_champion(registry, logged, tracking, tmp_path):
    registry.register("churn", *logged, {}, "card")
    registry.promote("churn", 1, None)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        connection.execute("ALTER TABLE registered_model_aliases RENAME TO gone")
    with pytest.raises(UnavailableError):
        registry.champion("churn")


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"order_id;price\n" * 500)
    with pytest.raises(UnavailableError, match=r"mlflow\.db does not answer \(file is not a database\)"):
        Tracking(f"sqlite:///{tmp_path / 'mlflow.db'}", str(tmp_path / "artifacts")).prepare()


def test_trials_are_not_lost_silently(refusing_port, tmp_path):
    from evergreen.training.handles import Recipe, TrialResult

    result = TrialResult(Recipe(0, "ridge", {}, "scaled"), "mae", (1.0,), 1.0, 0.0, 0.1, 10)
    with pytest.raises(UnavailableError):
        log_trials(Tracking(f"http://127.0.0.1:{refusing_port}", str(tmp_path)), RunHandle("r", "1"), [result])
