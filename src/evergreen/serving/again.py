"""What a thread beside the serving does again and again."""

import logging
import threading
from collections.abc import Callable


def repeat(act: Callable[[], object], stop: threading.Event, seconds: float, log: logging.Logger) -> None:
    """Act again and again until `stop` is set, and once more. Nothing that goes wrong ends it; `log` says it."""
    stopped = False
    while not stopped:
        stopped = stop.wait(seconds)
        try:
            act()
        except Exception:
            log.exception("this should not have happened")
