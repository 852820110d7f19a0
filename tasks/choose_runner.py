"""Where trials run: threads or processes of this machine, or a Dask or Ray cluster."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from prefect.futures import PrefectFuture
from prefect.settings import PREFECT_API_URL
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner
from prefect.tasks import Task

from evergreen.cluster.sight import question
from evergreen.errors import UserError
from evergreen.spec.training import Search
from evergreen.stages.run import Job


class Runner(Protocol):
    """What a search asks of wherever it runs."""

    def submit(self, task: "Task[..., Any]", parameters: dict[str, Any]) -> Any:
        """A future of the task, with `result()`."""


@dataclass(frozen=True)
class Awaited:
    """A future that is waited for by a look at its cluster: a vendor's own waits for ever where nobody is left."""

    future: "PrefectFuture[Any]"
    wait: Callable[[Any], None]

    def result(self) -> Any:
        """What the task returned. Raises what it raised, or UnavailableError where the cluster gave it up."""
        self.wait(self.future.wrapped_future)  # type: ignore[attr-defined]
        return self.future.result()


@dataclass(frozen=True)
class Cluster:
    """A runner whose futures are waited for by `wait`."""

    runner: "TaskRunner[Any]"
    wait: Callable[[Any], None]

    def submit(self, task: "Task[..., Any]", parameters: dict[str, Any]) -> Awaited:
        """A future of the task, with `result()`."""
        return Awaited(self.runner.submit(task, parameters), self.wait)


@contextmanager
def choose_runner(job: Job) -> Iterator[Runner]:
    """The runner that a spec names, started, and stopped with the block.

    Raises UserError where its package is not installed, UnavailableError where a cluster cannot run the job's trials.
    """
    search = job.spec.training.search
    workers = search.workers or os.cpu_count() or 1
    places: dict[str, Callable[[], AbstractContextManager[Any]]] = {
        "threads": lambda: ThreadPoolTaskRunner(max_workers=workers),
        "processes": lambda: ProcessPoolTaskRunner(max_workers=workers),
        "dask": lambda: _dask(job, search, workers),
        "ray": lambda: _ray(job, search, workers),
    }
    with places[search.runner]() as runner:
        yield runner


@contextmanager
def _dask(job: Job, search: Search, workers: int) -> Iterator[Runner]:
    from evergreen.cluster.dask import ask_dask, local_dask, wait_dask

    with _installed(search.runner):
        from prefect_dask import DaskTaskRunner
    if search.address is None:
        with local_dask(workers) as address, DaskTaskRunner(address=address) as runner:
            yield Cluster(runner, wait_dask)
    else:
        with _question(job) as asked:
            ask_dask(search.address, asked)
        with DaskTaskRunner(address=search.address) as runner:
            yield Cluster(runner, wait_dask)


@contextmanager
def _ray(job: Job, search: Search, workers: int) -> Iterator[Runner]:
    from evergreen.cluster.ray import local_ray, remote_ray, wait_ray

    with _installed(search.runner):
        from prefect_ray import RayTaskRunner
    # Prefect's runner takes the connection that it finds, and leaves it.
    if search.address is None:
        with local_ray(workers), RayTaskRunner() as runner:
            yield Cluster(runner, wait_ray)
    else:
        with _question(job) as asked, remote_ray(search.address, asked), RayTaskRunner() as runner:
            yield Cluster(runner, wait_ray)


def _question(job: Job) -> Any:
    return question(job.workspace, job.snapshot.path, job.spec, job.code, PREFECT_API_URL.value())


@contextmanager
def _installed(name: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise UserError(
            f"training.search.runner: {name} needs {error.name}; pip install 'evergreen[{name}]', or choose threads"
        ) from None
