"""A Dask cluster: found at an address, or started on this machine."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from evergreen.cluster.reach import reach, unreachable
from evergreen.cluster.sight import Question, complain, look
from evergreen.errors import UnavailableError

_CONNECT_SECONDS = 10
_GLANCE_SECONDS = 5.0
# A worker that died may be started again by whoever watches over it.
_ALONE_SECONDS = 60.0


@contextmanager
def local_dask(workers: int) -> Iterator[str]:
    """The scheduler's address of as many worker processes, of one thread each, which end with the block."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        # Its pages are served even without a dashboard: here on a port that nobody else wants.
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    ) as cluster:
        yield cluster.scheduler_address


def ask_dask(address: str, asked: Question) -> None:
    """Raise UnavailableError where no scheduler answers, it has no workers, or one of them cannot run trials."""
    from distributed import Client

    reach("Dask", address, greets=address.startswith("tcp://"))
    try:
        client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise unreachable("Dask", address, error) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=_CONNECT_SECONDS)
        except TimeoutError:
            raise UnavailableError(f"training.search.address: the Dask cluster at {address} has no workers") from None
        answers = client.run(look, asked, on_error="return")
    complain("Dask", {worker: _in_words(answer) for worker, answer in answers.items()})


def wait_dask(future: Any) -> None:
    """Return when a future is done, whatever its task answered.

    Raises UnavailableError where the cluster gave it up, or has no workers any more for a minute.
    """
    alone_since: float | None = None
    while True:
        try:
            error = future.exception(timeout=_GLANCE_SECONDS)
        except TimeoutError:
            alone_since = _alone_since(future.client, alone_since)
        except Exception as lost:
            raise _given_up(lost) from None
        else:
            if error is not None or future.status != "finished":
                # Without a scheduler futures are lost, which is no error to Dask.
                raise _given_up(error or ConnectionError("its scheduler is gone"))
            return


def _alone_since(client: Any, before: float | None) -> float | None:
    try:
        workers = client.nthreads()
    except Exception as lost:
        raise _given_up(lost) from None
    if workers:
        return None
    now = time.monotonic()
    if before is not None and now - before > _ALONE_SECONDS:
        raise UnavailableError(
            "training.search: the Dask cluster has no workers any more; start some, and run the model again: "
            "finished trials are found from before"
        )
    return before or now


def _given_up(error: BaseException) -> UnavailableError:
    why = (str(error) or type(error).__name__).splitlines()[0]
    return UnavailableError(
        f"training.search: the Dask cluster gave a trial up ({why}); see its workers' logs, and run the model again: "
        "finished trials are found from before"
    )


def _in_words(answer: Any) -> tuple[str, ...]:
    return (f"cannot look for itself ({answer})",) if isinstance(answer, BaseException) else tuple(answer)
