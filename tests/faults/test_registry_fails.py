"""A tracking server is down, answers 500, is slow, or dies after it did the work and before it said so.

The run ends in one clear error or not at all. Once the server is well, the next run ends as if nothing had happened.
"""

import shutil

import pytest

from tests.faults.child import Place
from tests.faults.conftest import Ground
from tests.faults.proxy import Fault, standing_before
from tests.project import Project, shoppers
from tests.servers import mlflow_server

pytestmark = pytest.mark.slow

CREATE, ALIAS = "POST /api/2.0/mlflow/model-versions/create", "POST /api/2.0/mlflow/registered-models/alias"
# Part of a request, what becomes of it, and whether the run can still end well.
FAULTS = [
    (Fault("GET /health", "down", stays=True), False),
    (Fault("POST /api/2.0/mlflow/logged-models", "down", stays=True), False),
    (Fault("POST /api/2.0/mlflow/runs/create", "500", stays=True), False),
    (Fault(CREATE, "500"), True),
    (Fault("POST /api/2.0/mlflow/registered-models/create", "lost"), True),
    (Fault(CREATE, "lost"), True),
    (Fault(CREATE, "lost", stays=True), False),
    (Fault(ALIAS, "lost", nth=1, stays=True), False),
    (Fault(ALIAS, "lost", nth=2, stays=True), False),
    (Fault("DELETE /api/2.0/mlflow/registered-models/alias", "lost", stays=True), False),
    (Fault(ALIAS, "slow", nth=2), True),
    # Longer than anybody waits: it is asked again, and does the work twice.
    (Fault(CREATE, "asleep"), True),
]
KINDS = {
    "down": "MLflow is down",
    "500": "MLflow answers 500",
    "lost": "MLflow dies after it did the work",
    "slow": "MLflow is slow",
    "asleep": "MLflow is slow",
}


def name_of(fault):
    return f"{fault.mode} {fault.part.rpartition('/2.0/mlflow/')[2]} #{fault.nth}{' and on' if fault.stays else ''}"


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlflow")
    with (
        mlflow_server(folder, f"sqlite:///{folder / 'mlflow.db'}") as upstream,
        standing_before(upstream) as proxy,
    ):
        yield proxy


@pytest.fixture
def served(request, proxy, tmp_path):
    """A model of its own on the server, before its first run."""
    model = f"tiny-{abs(hash(request.node.name)) % 10**8}"
    project = Project(tmp_path / "project", model).create(shoppers())
    (tmp_path / "kept").mkdir()
    proxy.fault = None
    yield Ground(Place(project.folder, model, tracking=proxy.url), tmp_path / "kept")
    proxy.fault = None
    shutil.rmtree(project.folder)


@pytest.mark.parametrize(("fault", "ends_well"), FAULTS, ids=[name_of(fault) for fault, _ in FAULTS])
def test_the_next_run_ends_as_if_nothing_had_happened(served, proxy, fault, ends_well, counted):
    with counted(KINDS[fault.mode]):
        proxy.fault = fault
        ended = served.act("first run")
        assert fault.struck, f"the run never asked for this\n{served.said}"
        assert (ended == 0) is ends_well, served.said
        assert "UnavailableError" in served.said or ends_well
        proxy.fault = None

        seen = served.recover("first run")
        settled, done = seen["settled"], seen["done"]
        assert settled["problems"] == []
        assert settled["running"] == 0
        assert settled["champion"] in (None, 1)
        assert seen["again"] == "", served.said
        assert done["problems"] == []
        assert (done["champion"], done["versions"], done["crowns"]) == (1, [1], [1])
        assert done["running"] == 0
        assert done["kinds"].count("PROMOTE") == 1
