"""A Ray cluster: found at an address, or started on this machine."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from evergreen.cluster.reach import reach, unreachable
from evergreen.cluster.sight import Question, complain, look
from evergreen.errors import UnavailableError

_CONNECT_SECONDS = 60
_GLANCE_SECONDS = 5.0
# A node that died may be started again by whoever watches over it.
_ALONE_SECONDS = 60.0
_NICENESS = "RAY_worker_niceness"
# Trials hand each other paths: Ray's smallest store is more than enough, its default a third of the memory.
_STORE_BYTES = 80 * 2**20


@contextmanager
def local_ray(workers: int) -> Iterator[None]:
    """This process connected to a cluster of as many worker processes, which end with the block."""
    import ray

    small = {"num_cpus": workers, "object_store_memory": _STORE_BYTES, "include_dashboard": False}
    try:
        with _handed_down():
            _connect(address="local", _node_ip_address="127.0.0.1", **small)
    except Exception as error:
        # Ray has no class of its own for a node that does not come up in time, and leaves parts of it running.
        ray.shutdown()
        why = _first_line(error)
        raise UnavailableError(
            f"training.search.runner: Ray does not start on this machine ({why}); try again, or choose threads"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _handed_down() -> Iterator[None]:
    """What a node of this machine inherits: modules are found where this process finds them, and nobody is told.

    Its workers get the CPU as threads of this process would: with Ray's own niceness of 15 they stand still for minutes
    beside other work.
    """
    handed = {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "RAY_USAGE_STATS_ENABLED": "0",
        _NICENESS: os.environ.get(_NICENESS, "0"),
    }
    before = {name: os.environ.get(name) for name in handed}
    os.environ.update(handed)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)


@contextmanager
def remote_ray(address: str, asked: Question) -> Iterator[None]:
    """This process connected to a cluster that runs already, and left running.

    Raises UnavailableError where none answers, or one of its nodes cannot run trials.
    """
    import ray

    reach("Ray", address, greets=True)
    try:
        _connect(address=address)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise unreachable("Ray", address, error) from None
    try:
        _ask(address, asked)
        yield
    finally:
        ray.shutdown()


def wait_ray(reference: Any) -> None:
    """Return when a task is done, whatever it answered.

    Raises UnavailableError where the cluster gave it up, or has no free node any more for a minute.
    """
    import ray

    alone_since: float | None = None
    try:
        while not ray.wait([reference], timeout=_GLANCE_SECONDS)[0]:
            alone_since = _alone_since(alone_since)
        ray.get(reference)
    except (ray.exceptions.RayError, ConnectionError) as error:
        raise UnavailableError(
            f"training.search: the Ray cluster gave a trial up ({_first_line(error)}); see its workers' logs, and run "
            "the model again: finished trials are found from before"
        ) from None


def _connect(**options: Any) -> None:
    """Connect this process, and leave what it does on SIGTERM to whoever has decided on that before Ray would."""
    import ray

    is_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(logging_level=logging.CRITICAL, log_to_driver=False, **options)
    finally:
        if is_main:
            signal.signal(signal.SIGTERM, before)


def _ask(address: str, asked: Question) -> None:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = _working_nodes()
    if not nodes:
        raise UnavailableError(f"training.search.address: the Ray cluster at {address} has no node with a CPU")
    here = {
        f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}": ray.remote(look)
        .options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False), num_cpus=0)
        .remote(asked)
        for node in nodes
    }
    complain("Ray", {name: _answer(reference) for name, reference in here.items()})


def _answer(reference: Any) -> tuple[str, ...]:
    import ray

    try:
        return tuple(ray.get(reference, timeout=_CONNECT_SECONDS))
    except ray.exceptions.GetTimeoutError:
        return (f"does not answer within {_CONNECT_SECONDS} s",)
    except ray.exceptions.RayError as error:
        return (f"cannot look for itself ({_first_line(error)})",)


def _working_nodes() -> list[dict[str, Any]]:
    import ray

    return [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]


def _alone_since(before: float | None) -> float | None:
    if _working_nodes():
        return None
    now = time.monotonic()
    if before is not None and now - before > _ALONE_SECONDS:
        raise UnavailableError(
            "training.search: the Ray cluster has no node with a CPU any more; start one, and run the model again: "
            "finished trials are found from before"
        )
    return before or now


def _first_line(error: BaseException) -> str:
    """Without the traceback that Ray puts into messages; its own errors name the worker's as their cause."""
    cause = getattr(error, "cause", None)
    shown = error if cause is None else cause
    return f"{type(shown).__name__}: {shown}".splitlines()[0]
