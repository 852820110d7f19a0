"""Where trials run: threads or processes of this machine, or a Dask or Ray cluster."""

import os
from typing import Any

from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner

from evergreen.errors import UserError
from evergreen.spec.training import Search


def choose_runner(search: Search) -> "TaskRunner[Any]":
    """The task runner that a spec names. Raises UserError where its package is not installed."""
    workers = search.workers or os.cpu_count() or 1
    if search.runner == "threads":
        return ThreadPoolTaskRunner(max_workers=workers)
    if search.runner == "processes":
        return ProcessPoolTaskRunner(max_workers=workers)
    return _cluster_runner(search.runner, workers)


def _cluster_runner(name: str, workers: int) -> "TaskRunner[Any]":
    try:
        if name == "dask":
            from prefect_dask import DaskTaskRunner

            return DaskTaskRunner(cluster_kwargs={"n_workers": workers, "threads_per_worker": 1})
        from prefect_ray import RayTaskRunner

        return RayTaskRunner(init_kwargs={"num_cpus": workers})
    except ModuleNotFoundError as error:
        raise UserError(
            f"training.search.runner: {name} needs {error.name}; pip install 'evergreen[{name}]', or choose threads"
        ) from None
