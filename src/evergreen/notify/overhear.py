"""What a vendor's logger says during a call, kept to ourselves: addresses that are secrets stand in it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class _Listener(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@contextmanager
def overhear(name: str) -> Iterator[list[str]]:
    """The messages that a logger is given meanwhile, from DEBUG on. No other handler sees them."""
    logger, listener = logging.getLogger(name), _Listener()
    before = (logger.level, logger.propagate, logger.handlers)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.handlers = [listener]
    try:
        yield listener.said
    finally:
        level, logger.propagate, logger.handlers = before
        logger.setLevel(level)
