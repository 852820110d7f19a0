"""Searches on Dask and Ray: a scheduler and two workers, each a process of its own, and the clusters started for a run.

The estimator that is tried leaves a note of where it was fitted, and does what a file beside it says.
"""

import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from evergreen.errors import UnavailableError
from evergreen.gate.decision import Reason
from evergreen.stages.load import load
from evergreen.stages.open import open_run
from evergreen.stages.run import Evidence, Job, Origin, Request
from evergreen.stages.track import prepare_job
from evergreen.training.key import code_digest
from tests.servers import free_port, stop, wait_for

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
NAMES = {"dask": "Dask", "ray": "Ray"}
# Ray reads these when it is imported, in workers and here: its clusters open to nobody who does not know the token.
RAY = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": os.urandom(32).hex(), "RAY_USAGE_STATS_ENABLED": "0"}

TRACED = """
import os, signal, time
from pathlib import Path
from sklearn.linear_model import LogisticRegression

HERE = Path(__file__).parent


class Traced(LogisticRegression):
    def fit(self, X, y):
        (HERE / "seen" / f"{os.getppid()}-{os.getpid()}-{os.nice(0)}").touch()
        deadline = time.monotonic() + 300
        while (HERE / "meet").exists() and len(list((HERE / "seen").iterdir())) < 2:
            assert time.monotonic() < deadline, "nobody came"
            time.sleep(0.05)
        while (HERE / "sleep").exists():
            time.sleep(0.05)
        try:
            (HERE / "die").unlink()
        except FileNotFoundError:
            return super().fit(X, y)
        os.kill(os.getpid(), signal.SIGKILL)
"""


@dataclass(frozen=True)
class Traces:
    """The module of the estimator, its notes, and its orders: `meet` a second process, `sleep`, `die` once."""

    folder: Path

    def order(self, *names: str) -> None:
        for name in ("meet", "sleep", "die"):
            (self.folder / name).unlink(missing_ok=True)
        for name in names:
            (self.folder / name).touch()
        shutil.rmtree(self.folder / "seen", ignore_errors=True)
        (self.folder / "seen").mkdir()

    def workers(self) -> set[int]:
        """Processes that fitted, but for this one."""
        return {pid for _, pid, _ in self._seen() if pid != os.getpid()}

    def parents(self) -> set[int]:
        """What started them: a nanny with Dask, the node's own process with Ray."""
        return {parent for parent, pid, _ in self._seen() if pid != os.getpid()}

    def niceness(self) -> set[int]:
        """How far they give way to other processes."""
        return {nice for _, _, nice in self._seen()}

    def _seen(self) -> list[tuple[int, ...]]:
        return [tuple(map(int, path.name.split("-"))) for path in (self.folder / "seen").iterdir()]


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traces]:
    folder = tmp_path_factory.mktemp("traced")
    (folder / "traced.py").write_text(TRACED)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        for name, value in RAY.items():
            patch.setenv(name, value)
        yield Traces(folder)


@pytest.fixture(scope="module")
def clusters(traces: Traces) -> Iterator[Callable[[str], str]]:
    """Addresses of clusters of two workers, started when first asked for."""
    started: dict[str, str] = {}
    with ExitStack() as running, tempfile.TemporaryDirectory(prefix="ev", ignore_cleanup_errors=True) as folder:
        # Ray's sockets stand below this folder, and their paths must be short.
        path = os.pathsep.join([str(REPOSITORY), str(traces.folder)])
        # Beside other tests a worker of Ray's own niceness waits for minutes.
        environment = {**os.environ, "PYTHONPATH": path, "RAY_worker_niceness": "0"}

        def address(runner: str) -> str:
            if runner not in started:
                start = start_dask if runner == "dask" else start_ray
                started[runner] = running.enter_context(start(Path(folder), environment))
            return started[runner]

        yield address


@contextmanager
def start_dask(folder: Path, environment: dict[str, str]) -> Iterator[str]:
    address = f"tcp://127.0.0.1:{free_port()}"
    quiet = ["--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0"]
    worker = ["worker", address, *quiet, "--nthreads", "1", "--memory-limit", "1GiB", "--local-directory", str(folder)]
    with ExitStack() as running:
        scheduler = ["scheduler", *quiet, "--port", address.rpartition(":")[2]]
        running.enter_context(process("dask", scheduler, "Scheduler at", folder / "scheduler.log", environment))
        for name in ("one", "two"):
            running.enter_context(process("dask", worker, "Registered to", folder / f"{name}.log", environment))
        yield address


@contextmanager
def start_ray(folder: Path, environment: dict[str, str]) -> Iterator[str]:
    port = free_port()
    node = ["start", "--block", "--num-cpus", "1", "--object-store-memory", "80000000"]
    head = [
        "--head",
        "--include-dashboard=false",
        "--port",
        str(port),
        "--ray-client-server-port",
        str(free_port()),
        "--temp-dir",
        str(folder),
    ]
    with ExitStack() as running:
        for name, more in (("head", head), ("node", ["--address", f"127.0.0.1:{port}"])):
            ready = "Ray runtime started"
            running.enter_context(process("ray", [*node, *more], ready, folder / f"{name}.log", environment))
        yield f"127.0.0.1:{port}"


@contextmanager
def process(name: str, arguments: list[str], ready: str, log: Path, environment: dict[str, str]) -> Iterator[None]:
    """A command of this environment until the block ends, and all that it started; enters when its log says so."""
    command = [str(Path(sys.executable).parent / name), *arguments]
    with log.open("w") as output:
        running = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
    try:
        wait_for(lambda: ready in log.read_text(), running)
        yield
    finally:
        family = psutil.Process(running.pid).children(recursive=True) if running.poll() is None else []
        stop(running)
        for child in psutil.wait_procs(family, timeout=10)[1]:
            child.kill()


@pytest.fixture(scope="module")
def flows(orchestrator: str) -> Any:
    """The module of the flow, imported only now that Prefect has its own database."""
    return importlib.import_module("flows.retrain")


@pytest.fixture
def traced(project: Any, traces: Traces) -> Any:
    """A project that tries the estimator with four parameters."""
    grid = {"C": [0.01, 0.1, 1.0, 10.0]}
    traces.order()
    project.change(training__candidates=[{"kind": "custom", "estimator": "traced:Traced", "grid": grid}])
    return project


def job_of(project: Any, moment: datetime, **search: Any) -> Job:
    project.change(training__search=search)
    request = Request(project.model, moment, Reason.MANUAL)
    run = open_run(request, Origin("tester"), project.settings, datetime.now(UTC))
    job = prepare_job(run, load(run, project.settings), project.settings)
    # What workers read now, should somebody edit the sources while these tests run.
    return replace(job, code=code_digest(job.spec))


def search(flows: Any, job: Job) -> Evidence:
    """The search of the flow as a flow of its own."""
    from prefect import flow

    return flow(lambda: flows.search_recipes(job, Evidence())[0], name="search", validate_parameters=False)()


def learned(evidence: Evidence) -> dict[str, Any]:
    """What a search found, but for how long it took."""
    return {
        "scores": [(trial.recipe.key, trial.scores, trial.mean) for trial in evidence.trials],
        "winner": evidence.fitted.recipe.key,
        "answers": evidence.logged.answers,
        "decision": evidence.decision.kind,
    }


@pytest.fixture(scope="module")
def threads_found() -> dict[str, Any]:
    """What the search finds on threads of this process; the first test that asks fills it in."""
    return {}


@pytest.mark.parametrize("runner", NAMES)
def test_two_workers_share_the_trials_and_find_what_threads_find(
    traced, traces, flows, clusters, first_moment, runner, threads_found
):
    address = clusters(runner)
    if not threads_found:
        threads_found |= learned(flows.retrain(model="tiny", as_of=first_moment).evidence)
        shutil.rmtree(traced.settings.work)
    traced.change(training__search={"runner": runner, "address": address})
    traces.order("meet")
    there = flows.retrain(model="tiny", as_of=first_moment, force=True)
    assert len(traces.workers()) == len(traces.parents()) == 2
    assert not any(trial.reused for trial in there.evidence.trials)
    assert learned(there.evidence) == threads_found
    assert there.champion == traced.champion()


@pytest.mark.parametrize("runner", NAMES)
def test_a_worker_that_is_killed_in_a_trial_is_replaced(traced, traces, flows, clusters, first_moment, runner):
    job = job_of(traced, first_moment, runner=runner, address=clusters(runner))
    traces.order("die")
    found = search(flows, job)
    assert not (traces.folder / "die").exists()
    assert len(traces.workers()) >= 2
    assert len(found.trials) == 4


@pytest.mark.parametrize("runner", NAMES)
def test_a_worker_with_other_sources_is_refused_before_any_trial(traced, traces, flows, clusters, first_moment, runner):
    job = job_of(traced, first_moment, runner=runner, address=clusters(runner))
    with pytest.raises(UnavailableError, match=rf"the {NAMES[runner]} worker .*runs other sources than this process"):
        search(flows, replace(job, code="another"))
    assert traces.workers() == set()


@pytest.mark.parametrize(("runner", "scheme"), [("dask", "tcp://"), ("ray", ""), ("ray", "ray://")])
def test_an_address_where_nobody_is_ends_in_one_line(traced, flows, first_moment, runner, scheme):
    address = f"{scheme}127.0.0.1:{free_port()}"
    with pytest.raises(UnavailableError) as caught:
        search(flows, job_of(traced, first_moment, runner=runner, address=address))
    assert str(caught.value).startswith(f"training.search.address: no {NAMES[runner]} cluster answers at {address} (")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("runner", NAMES)
def test_a_cluster_of_this_machine_is_started_for_the_search_and_ends_with_it(
    traced, traces, flows, first_moment, runner
):
    before = set(psutil.Process().children(recursive=True))
    traces.order("meet")
    found = search(flows, job_of(traced, first_moment, runner=runner, workers=2))
    assert len(found.trials) == 4
    assert len(traces.workers()) == 2
    assert traces.niceness() == {os.nice(0)}
    left = psutil.wait_procs(set(psutil.Process().children(recursive=True)) - before, timeout=30)[1]
    # Python's own, started once with the first process that is spawned; it ends with this one.
    assert [child.cmdline() for child in left if "resource_tracker" not in " ".join(child.cmdline())] == []


@pytest.mark.parametrize("runner", NAMES)
def test_ctrl_c_in_a_search_leaves_nothing_running(traced, traces, orchestrator, runner):
    for name in ("flows", "tasks"):
        (traced.folder / name).symlink_to(REPOSITORY / name)
    traced.change(training__search={"runner": runner, "workers": 2})
    traces.order("sleep")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= {"PYTHONPATH": str(traces.folder), "PREFECT_API_URL": orchestrator}
    command = [str(Path(sys.executable).parent / "evergreen"), "run", "tiny", "--as-of", "2026-04-01"]
    # What a shell starts in its background ignores Ctrl-C and hands that down; these children shall not.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with (traced.folder / "run.log").open("w") as log:
        running = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(lambda: len(traces.workers()) == 2, running, 240)
        family = psutil.Process(running.pid).children(recursive=True)
        assert traces.workers() <= {child.pid for child in family}
        os.killpg(running.pid, signal.SIGINT)
        assert running.wait(timeout=90) == 130
        assert psutil.wait_procs(family, timeout=30)[1] == []
    finally:
        signal.signal(signal.SIGINT, before)
        stop(running)
    assert "Traceback" not in (traced.folder / "run.log").read_text()
