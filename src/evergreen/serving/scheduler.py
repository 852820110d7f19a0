"""Where requests are worked on: few rows together with those of others, many in a thread of their own."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import datetime
from typing import TypeVar

from evergreen.serving.batch import Lanes
from evergreen.serving.limits import Limits
from evergreen.serving.predict_request import PredictRequest, PredictResponse
from evergreen.serving.reader import Rows
from evergreen.serving.refused import busy

_Result = TypeVar("_Result")


class Scheduler:
    """Lanes for few rows, one for each model, and `batches`, which runs large requests one after another."""

    def __init__(self, lane: Lanes, batches: Executor, limits: Limits, clock: Callable[[], datetime]) -> None:
        self.lane, self._batches, self._limits, self._clock = lane, batches, limits, clock
        self._waiting, self._counting = 0, threading.Lock()

    async def read(self, request: PredictRequest) -> Rows:
        """The rows of a request. Raises Refused."""
        if request.large:
            return await self._apart(lambda: request.read(self._limits))
        return request.read(self._limits)

    async def make(self, request: PredictRequest, asked: Rows | None = None) -> PredictResponse:
        """The answer, of rows that are read already or yet to be. Raises Refused, else what the model raises."""
        limits, clock = self._limits, self._clock
        if request.large:
            return await self._apart(lambda: request.make(request.read(limits) if asked is None else asked, clock))
        rows = request.read(limits) if asked is None else asked
        if len(rows.rows) > limits.single_rows:
            return await self._apart(lambda: request.make(rows, clock))
        answers = await self.lane.answer(request.model, rows.rows)
        return request.tell(rows, answers, clock)

    async def _apart(self, work: Callable[[], _Result]) -> _Result:
        """In the thread of the batches, after those that came before."""
        if self._waiting >= self._limits.batches:
            raise busy("too many batches are waiting")
        future = self._batches.submit(work)
        self._count(1)
        # Whoever asked may be gone long before the thread is free again.
        future.add_done_callback(lambda _: self._count(-1))
        return await asyncio.wrap_future(future)

    def _count(self, more: int) -> None:
        with self._counting:
            self._waiting += more
