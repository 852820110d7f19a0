"""A flow run that died is retried by Prefect under its own id, and goes on from what is finished."""

from contextlib import contextmanager
from functools import reduce
from importlib import import_module
from itertools import count

import pytest

from evergreen.registry.tracking import Tracking
from evergreen.stages.audit import audit
from evergreen.stages.open import tracking_of

pytestmark = pytest.mark.slow

# What has just happened when the process dies.
DEATHS = [
    ("evergreen.stages.train:cross_validate", 2),
    ("mlflow.tracking.client:MlflowClient.create_run", 2),  # the first trial's, open and empty
    ("evergreen.registry.versions:Registry.register", 1),
    ("evergreen.store.ledger:Ledger.record", 1),
]


class Killed(BaseException):
    """What nothing catches."""


@contextmanager
def death(target, nth):
    """After the nth call of the target nothing else is done, as little as by a process that was killed."""
    module, _, path = target.partition(":")
    *owners, name = path.split(".")
    owner, calls = reduce(getattr, owners, import_module(module)), count(1)
    original = getattr(owner, name)
    with pytest.MonkeyPatch.context() as patch:

        def wrapped(*arguments, **options):
            found = original(*arguments, **options)
            if next(calls) == nth:
                patch.setattr(Tracking, "finish", lambda *_: None)
                raise Killed(target)
            return found

        patch.setattr(owner, name, wrapped)
        yield


def finished_work(project):
    """Trials and models that are complete, with the time they were written."""
    found = (project.settings.home / "work").glob("*/*.json")
    return {str(path): path.stat().st_mtime_ns for path in found if path.name.startswith(("trial-", "model-"))}


@pytest.fixture
def run_once(retrain):
    """Execute a flow run, which is there already, in this process, as a worker or `prefect flow-run retry` does."""
    from prefect.flow_engine import run_flow
    from prefect.utilities.callables import get_call_parameters

    def execute(flow_run):
        parameters = get_call_parameters(retrain.fn, (), flow_run.parameters)
        return run_flow(retrain, flow_run=flow_run, parameters=parameters, return_type="state")

    return execute


@pytest.fixture
def prefect(orchestrator):
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        yield client


@pytest.mark.parametrize(("target", "nth"), DEATHS, ids=[target.rpartition(".")[2] for target, _ in DEATHS])
@pytest.mark.usefixtures("without_pictures")
def test_a_retry_of_the_same_flow_run_repeats_nothing(project, retrain, run_once, prefect, target, nth):
    from prefect.states import Crashed, Pending, Scheduled

    created = prefect.create_flow_run(retrain, parameters={"model": "tiny"}, state=Pending())
    with death(target, nth), pytest.raises(Killed):
        run_once(created)
    left, kept = tracking_of(project.settings).running("tiny"), finished_work(project)
    assert left, "a dead process closes nothing"
    assert kept

    prefect.set_flow_run_state(created.id, Crashed(), force=True)
    prefect.set_flow_run_state(created.id, Scheduled(), force=True)
    state = run_once(prefect.read_flow_run(created.id))
    assert state.is_completed(), state.message
    again = prefect.read_flow_run(created.id)
    assert again.run_count == 2

    assert project.champion() == 1
    assert project.registry.versions("tiny") == (1,)
    assert project.decisions().count("PROMOTE") == 1
    assert {entry.flow_run for entry in project.ledger.entries("tiny")} == {str(created.id)}
    assert {entry.as_of for entry in project.ledger.entries("tiny")} == {created.expected_start_time}
    assert kept.items() <= finished_work(project).items(), "finished work was done again"
    assert tracking_of(project.settings).running("tiny") == ()
    ended = {run.info.run_id: run.info.status for run in project.mlflow_runs()}
    assert {ended[run_id] for run_id in left} == {"KILLED"}
    assert audit(project.settings).problems == ()
