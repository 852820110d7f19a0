"""What Evergreen asks of Prefect, asked of a server."""

import threading
import uuid
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from evergreen.errors import UnavailableError
from evergreen.orchestrator.api import PrefectApi, Refused
from tests.servers import free_port, wait_for

pytestmark = pytest.mark.slow

CRON = {"cron": "0 6 * * 1", "timezone": "Europe/Berlin"}
SCHEMA = {"type": "object", "properties": {"model": {"type": "string", "enum": ["churn"]}}, "required": ["model"]}


@pytest.fixture(scope="module")
def api(prefect_server):
    return prefect_server.api


@pytest.fixture(scope="module")
def deployment(api):
    flow = api.post("/flows/", name="walk")
    api.post("/work_pools/", name="garden", type="process")
    values = {"schedules": [{"schedule": CRON, "active": False, "slug": "weekly"}], "work_pool_name": "garden"}
    schema = {"parameter_openapi_schema": SCHEMA, "enforce_parameter_schema": True}
    api.post("/deployments/", name="dog", flow_id=flow["id"], parameters={"model": "churn"}, **values, **schema)
    return api.deployment("walk/dog")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"PREFECT_API_URL": ""}, None),
        ({"PREFECT_API_URL": "http://there/api"}, PrefectApi("http://there/api")),
        (
            {"PREFECT_API_URL": "http://there/api/", "PREFECT_API_AUTH_STRING": "a:b"},
            PrefectApi("http://there/api", "a:b"),
        ),
    ],
)
def test_the_environment_names_the_server(environment, expected):
    assert PrefectApi.from_environment(environment) == expected


def test_a_server_tells_how_it_is(api):
    from importlib.metadata import version

    assert api.health()
    assert api.version() == version("prefect")
    assert abs(api.server_time() - datetime.now(UTC)) < timedelta(minutes=1)


def test_deployments_and_pools_are_found_by_name(api, deployment):
    assert (deployment.name, deployment.parameters, deployment.work_pool) == ("walk/dog", {"model": "churn"}, "garden")
    (schedule,) = deployment.schedules
    assert (schedule.slug, schedule.active, schedule.cron) == ("weekly", False, "0 6 * * 1")
    assert schedule.timezone == "Europe/Berlin"
    assert deployment in api.deployments()
    assert api.deployment("walk/cat") is None
    assert api.pool("garden").type == "process"
    assert api.pool("jungle") is None
    assert api.workers("garden") == ()
    assert api.flow_run(str(uuid.uuid4())) is None


def test_the_same_key_starts_one_run(api, deployment):
    key = str(uuid.uuid4())
    first = api.create_run(deployment.id, {"model": "churn"}, key, ["by hand"])
    assert api.create_run(deployment.id, {"model": "churn"}, key) == first
    assert "by hand" in first.tags
    api.set_state(first.id, "CRASHED", "Lost", "its worker is gone", force=True)
    lost = api.flow_run(first.id)
    assert (lost.state_type, lost.state_name, lost.message) == ("CRASHED", "Lost", "its worker is gone")
    found = api.flow_runs(deployment_ids=[deployment.id], states=["CRASHED"])
    assert lost in found
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert lost not in api.flow_runs(deployment_ids=[deployment.id], since=tomorrow)


def test_runs_are_read_page_by_page(api, deployment, monkeypatch):
    wanted = {api.create_run(deployment.id, {"model": "churn"}, f"page-{n}").id for n in range(5)}
    monkeypatch.setattr("evergreen.orchestrator.api._PAGE", 2)
    assert wanted <= {run.id for run in api.flow_runs(deployment_ids=[deployment.id])} | wanted
    assert wanted <= {run.id for run in api.flow_runs(deployment_ids=[deployment.id], limit=50)}
    assert len(api.flow_runs(deployment_ids=[deployment.id], limit=3)) == 3


def test_a_wrong_parameter_is_refused_in_one_line_with_the_servers_reason(api, deployment):
    with pytest.raises(Refused, match="'nobody' is not one of") as refused:
        api.create_run(deployment.id, {"model": "nobody"}, str(uuid.uuid4()))
    assert refused.value.status == 409
    assert "\n" not in str(refused.value)


def test_a_transition_that_the_server_does_not_make_is_refused(api, deployment):
    run = api.create_run(deployment.id, {"model": "churn"}, str(uuid.uuid4()))
    api.set_state(run.id, "RUNNING", force=True)
    with pytest.raises(Refused, match=f"leaves run {run.id} as it is"):
        api.set_state(run.id, "PENDING")


def test_an_event_that_is_posted_twice_is_there_once(api):
    events = [
        {
            "id": str(uuid.uuid4()),
            "occurred": datetime.now(UTC).isoformat(),
            "event": "test.seen",
            "resource": {"prefect.resource.id": "test.thing"},
            "payload": {"share": 0.25},
        }
        for _ in range(2)
    ]
    api.post_events(events[:1])
    api.post_events(events)

    def seen():
        found = api.post("/events/filter", filter={"event": {"name": ["test.seen"]}})["events"]
        return found if len(found) >= len(events) else None

    assert sorted(event["id"] for event in wait_for(seen, seconds=60)) == sorted(event["id"] for event in events)


def test_without_its_password_the_server_refuses_and_says_what_to_set(api):
    stranger = PrefectApi(api.url)
    assert stranger.health(), "anybody may ask how it is"
    with pytest.raises(Refused, match="PREFECT_API_AUTH_STRING"):
        stranger.version()
    assert "s3cret" not in repr(api)


def test_a_server_that_is_gone_is_unavailable_and_named_without_its_password():
    gone = PrefectApi(f"http://eva:s3cret@127.0.0.1:{free_port()}/api")
    assert not gone.health()
    with pytest.raises(UnavailableError, match="does not answer") as error:
        gone.deployments()
    assert "s3cret" not in str(error.value)


class Overworked(BaseHTTPRequestHandler):
    """Busy twice, then well, as Prefect is while its SQLite file is locked; and always out of order elsewhere."""

    answers = (503, 503, 200)
    asked = 0

    def do_GET(self):
        status = 500 if self.path.endswith("/broken") else self.answers[min(Overworked.asked, 2)]
        Overworked.asked += 1
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b"true")

    def log_message(self, *parts):
        pass


def test_a_busy_server_is_asked_again_and_a_broken_one_is_not():
    with HTTPServer(("127.0.0.1", 0), Overworked) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        api = PrefectApi(f"http://127.0.0.1:{server.server_port}/api")
        assert api.get("/anything") is True
        assert Overworked.asked == 3
        with pytest.raises(UnavailableError, match="500"):
            api.get("/broken")
        assert Overworked.asked == 4
        server.shutdown()
