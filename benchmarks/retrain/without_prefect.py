"""The same flow with Prefect cut out: decorators that change nothing, threads that are only threads.

    python without_prefect.py <place> <before|now> <stages.json>

What it takes less than flow.py is what Prefect costs: its imports, its client, its engine and its logging.
"""

# ruff: noqa: E402 - the clock starts before the imports, which are part of what a run costs

import sys
from pathlib import Path

from stages import Recorder

record = Recorder(Path(sys.argv[3]))

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from flow import main


class Nothing:
    """Whatever is asked of it, it is that, and does nothing."""

    def __call__(self, *_: Any, **__: Any) -> "Nothing":
        return self

    def __getattr__(self, name: str) -> "Nothing":
        return self

    def __enter__(self) -> "Nothing":
        return self

    def __exit__(self, *_: object) -> None:
        return None


class Threads(ThreadPoolExecutor):
    """A task runner as the flow uses it."""

    def submit(self, task: Callable[..., Any], parameters: dict[str, Any]) -> "Future[Any]":  # type: ignore[override]
        return super().submit(task, **parameters)


class FlowRun:
    """The run that is not there. The moment is always given."""

    id = scheduled_start_time = ui_url = None
    tags = ()


def undecorated(*_: Any, **__: Any) -> Callable[[Any], Any]:
    return lambda function: function


class StandIns(MetaPathFinder, Loader):
    """`prefect` and everything below it."""

    given = {"flow": undecorated, "task": undecorated, "flow_run": FlowRun, "ThreadPoolTaskRunner": Threads}  # noqa: RUF012

    def find_spec(self, name: str, *_: Any) -> ModuleSpec | None:
        ours = name.partition(".")[0] == "prefect"
        return ModuleSpec(name, self, is_package=True) if ours else None

    def exec_module(self, module: ModuleType) -> None:
        module.__getattr__ = lambda name: self.given.get(name, Nothing())  # type: ignore[method-assign]


if __name__ == "__main__":
    sys.meta_path.insert(0, StandIns())
    # A server that is somewhere else is not started.
    os.environ["PREFECT_API_URL"] = "http://127.0.0.1:9/api"
    main(record)
