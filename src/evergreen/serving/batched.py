"""Rows on their way to the store, how many may be, and whoever waits until they are there."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from evergreen.serving.answers import Answered
from evergreen.serving.kept import Rules

log = logging.getLogger("evergreen.capture")


@dataclass(frozen=True)
class CaptureLimits:
    """How much may wait and how long, in rows, seconds, and the bytes of the requests that they came in.

    A group is written once it has `group_rows` or `group_bytes`, `linger` after its first row, or at once where
    somebody waits.
    While the store does not answer it is tried again after `first_pause`, then twice that, up to `longest_pause`.
    Where the store answers, but more comes than it takes, a request waits for room, for `patience` at most.
    """

    queue_rows: int = 50_000
    queue_bytes: int = 100_000_000
    group_rows: int = 2_000
    group_bytes: int = 10_000_000
    linger: float = 0.5
    first_pause: float = 0.25
    longest_pause: float = 5.0
    patience: float = 10.0


@dataclass(eq=False)
class Batch:
    """Rows that were handed over together, by which rules, the bytes of their request, and the loop and future of
    whoever waits for them.
    """

    rows: Answered
    rules: Rules = field(default_factory=Rules)
    size: int = 0
    waits: "tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None" = None


@dataclass(frozen=True)
class CaptureState:
    """For metrics and /ready: rows that wait, were written and were lost, and the last commit; `problem` is why the
    store could not be written when that was last tried, None while all is well.
    """

    backlog: int
    written: int
    lost: int
    groups: int
    last_commit: datetime | None
    problem: str | None


@dataclass
class Numbers:
    """What there is at this moment: as in the state, the bytes that wait, and how the store is tried again."""

    backlog: int = 0
    held: int = 0
    written: int = 0
    lost: int = 0
    groups: int = 0
    last_commit: datetime | None = None
    problem: str | None = None
    retry_at: float = 0.0
    pause: float = 0.0
    urgent: int = 0


def answer(batches: Sequence[Batch], error: Exception | None) -> None:
    """Tell everybody who waits, with one call into each loop; safe from any thread."""
    loops: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for batch in batches:
        if batch.waits is not None:
            loops.setdefault(batch.waits[0], []).append(batch.waits[1])
    for loop, futures in loops.items():
        try:
            loop.call_soon_threadsafe(_resolve, futures, error)
        except RuntimeError:
            log.warning("capture: %d answers came after their server had stopped", len(futures))


def _resolve(futures: Sequence["asyncio.Future[None]"], error: Exception | None) -> None:
    for future in futures:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
