"""A tracking server refuses, answers 500, is slow, or dies after it did the work and before it said so.

The run ends in one clear error or not at all. Once the server is well, the next run ends as if nothing had happened.
"""

import shutil

import pytest

from tests.faults.child import Place
from tests.faults.conftest import Ground
from tests.faults.proxy import Fault, standing_before
from tests.project import FIRST, Project, shoppers
from tests.servers import mlflow_server

pytestmark = pytest.mark.slow

# Part of a request, what becomes of it, and whether the run can still end well.
FAULTS = [
    (Fault("POST /api/2.0/mlflow/runs/create", "500", stays=True), False),
    (Fault("POST /api/2.0/mlflow/registered-models/create", "lost"), True),
    (Fault("POST /api/2.0/mlflow/model-versions/create", "lost"), True),
    (Fault("POST /api/2.0/mlflow/model-versions/create", "lost", stays=True), False),
    (Fault("POST /api/2.0/mlflow/registered-models/alias", "lost", nth=1, stays=True), False),
    (Fault("POST /api/2.0/mlflow/registered-models/alias", "lost", nth=2, stays=True), False),
    (Fault("POST /api/2.0/mlflow/registered-models/alias", "slow", nth=2), True),
    (Fault("DELETE /api/2.0/mlflow/registered-models/alias", "lost", stays=True), False),
]


def name_of(fault):
    return f"{fault.mode} {fault.part.rpartition('mlflow/')[2]} #{fault.nth}{' and on' if fault.stays else ''}".strip()


@pytest.fixture(scope="module")
def tracking_server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlflow")
    with mlflow_server(folder, f"sqlite:///{folder / 'mlflow.db'}") as url:
        yield url


@pytest.fixture(scope="module")
def proxy(tracking_server):
    with standing_before(tracking_server) as proxy:
        yield proxy


@pytest.fixture
def served(request, proxy, forks, tmp_path):
    """A model of its own on the server, before its first run."""
    model = f"tiny-{abs(hash(request.node.name)) % 10**8}"
    project = Project(tmp_path / "project", model).create(shoppers())
    proxy.fault = None
    yield Ground(Place(project.folder, model, tracking=proxy.url), tmp_path / "template", forks, lambda: None, "served")
    proxy.fault = None
    shutil.rmtree(project.folder)


@pytest.mark.parametrize(("fault", "ends_well"), FAULTS, ids=[name_of(fault) for fault, _ in FAULTS])
def test_the_next_run_ends_as_if_nothing_had_happened(served, proxy, fault, ends_well, tally):
    try:
        _survives(served, proxy, fault, ends_well)
    except BaseException:
        tally("tracking server", "lost")
        print(served.log.read_text()[-4000:])
        raise
    tally("tracking server", "survived")


def _survives(served, proxy, fault, ends_well):
    proxy.fault = fault
    ended = served.run(FIRST)
    assert fault.struck, "the run never asked for this"
    assert (ended == 0) is ends_well, served.log.read_text()[-2000:]
    assert "UnavailableError" in served.log.read_text() or ends_well
    proxy.fault = None

    _, settled = served.states(FIRST, tidied=True)
    assert settled["problems"] == []
    assert settled["running"] == 0
    assert settled["champion"] in (None, 1)

    assert served.run(FIRST) == 0, served.log.read_text()[-2000:]
    (done,) = served.states()
    assert done["problems"] == []
    assert (done["champion"], done["versions"], done["crowns"]) == (1, [1], [1])
    assert done["running"] == 0
    assert done["kinds"].count("PROMOTE") == 1
