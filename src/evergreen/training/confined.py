"""One core and a closed mouth for each estimator, also where many are fitted in threads of one process."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from threadpoolctl import threadpool_limits


class _Shared:
    """What is global to a process and must be changed once, by the first trial, and restored by the last.

    Trials that each restored what they found would leave BLAS unbounded, and warnings swallowed, for the others.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.notes = threading.local()
        self.restore: tuple[Any, Any] | None = None

    def enter(self) -> None:
        with self.lock:
            self.inside += 1
            if self.inside == 1:
                limits, catcher = threadpool_limits(1, user_api="blas"), warnings.catch_warnings()
                catcher.__enter__()
                warnings.simplefilter("always")
                self.restore = limits, catcher
                warnings.showwarning = self._keep(warnings.showwarning)

    def leave(self) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0 and self.restore is not None:
                limits, catcher = self.restore
                catcher.__exit__(None, None, None)
                limits.restore_original_limits()
                self.restore = None

    def _keep(self, show: Any) -> Any:
        def keep(message: Any, category: Any, *place: Any, **more: Any) -> None:
            kept = getattr(self.notes, "kept", None)
            if kept is None:
                show(message, category, *place, **more)
            else:
                kept[f"{category.__name__}: {str(message).splitlines()[0]}"] = None

        return keep


_SHARED = _Shared()


@contextmanager
def confined() -> Iterator[dict[str, None]]:
    """Bound BLAS and OpenMP to one thread and collect this thread's warnings, each once, as keys of what is yielded.

    >>> with confined() as notes:
    ...     warnings.warn("did not converge", stacklevel=1)
    >>> list(notes)
    ['UserWarning: did not converge']
    """
    kept: dict[str, None] = {}
    _SHARED.enter()
    _SHARED.notes.kept = kept
    try:
        # OpenMP's limit belongs to the calling thread, so that it is set by each.
        with threadpool_limits(1, user_api="openmp"):
            yield kept
    finally:
        _SHARED.notes.kept = None
        _SHARED.leave()
