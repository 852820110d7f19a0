"""What a thread beside the serving does again and again."""

import logging
import threading
from collections.abc import Callable

log = logging.getLogger("evergreen.serving")


def keep_on(act: Callable[[], object], stop: threading.Event, seconds: float, what: str) -> None:
    """Act again and again until `stop` is set, and once more. Nothing that goes wrong ends it; the log has it, about
    `what`.
    """
    stopped = False
    while not stopped:
        stopped = stop.wait(seconds)
        try:
            act()
        except Exception:
            log.exception("%-11s this should not have happened", what)
