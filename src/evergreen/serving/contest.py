"""Who answers a request while a challenger is on trial: one of the two, wholly; and who counts it."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from evergreen.serving.handles import ServedModel
from evergreen.serving.limits import Limits
from evergreen.serving.loaded import LoadedModels
from evergreen.serving.predict_request import PredictRequest, PredictResponse
from evergreen.serving.reader import Rows
from evergreen.serving.refused import Refused
from evergreen.serving.scheduler import Scheduler
from evergreen.serving.shadow import Copy, Shadow
from evergreen.serving.trial import Counted, Trial, Trials

log = logging.getLogger("evergreen.contest")

PATIENCE_SECONDS = 10.0
_ROWS = 1_000


@dataclass(frozen=True)
class Contest:
    """Answers by the champion, and by a challenger where that is tried.

    The challenger has a scheduler of its own, so that its slowness is nobody else's; after `patience` seconds, and as
    many for each thousand rows, the champion answers instead.
    """

    loaded: LoadedModels
    scheduler: Scheduler
    spare: Scheduler
    trials: Trials
    shadow: Shadow
    limits: Limits
    clock: Callable[[], datetime]
    patience: float = PATIENCE_SECONDS

    async def make(self, request: PredictRequest, rival: PredictRequest | None) -> PredictResponse:
        """The answer to a request; `rival` is the same one, made out to the challenger."""
        trial = None if rival is None else self.trials.of(rival.model)
        if trial is None or rival is None:
            return await self._by_champion(request)
        asked = await self.scheduler.read(request)
        if not trial.picks(asked, request.ask.id):
            return await self._by_champion(request, asked, trial.champion if trial.splits else None)
        if not trial.splits:
            return await self._shown(request, rival, trial, asked)
        made = await self._by_challenger(request, rival, trial, asked)
        return await self._by_champion(request, asked) if made is None else made

    async def _by_champion(
        self, request: PredictRequest, asked: Rows | None = None, seen: Counted | None = None
    ) -> PredictResponse:
        watched = self.trials.watching(request.model)
        sides = [side for side in (seen, watched) if side is not None]
        try:
            made = await self.scheduler.make(request, asked)
        except Exception as error:
            for side in sides if _is_ours(error) else ():
                side.failed()
            raise
        for side in sides:
            side.answered(made.latency_ms)
        return made

    async def _by_challenger(
        self, request: PredictRequest, rival: PredictRequest, trial: Trial, asked: Rows
    ) -> PredictResponse | None:
        """Its answer; None where it has none, whatever the reason, and the champion has to answer."""
        if not self._stands(rival.model):
            return None
        try:
            async with asyncio.timeout(self.patience * (1 + len(asked.rows) // _ROWS)):
                rows = asked if trial.alike(request.model, rival.model) else await self.spare.read(rival)
                made = await self.spare.make(rival, rows)
        except Exception as error:
            if trial.challenger.failed() == 1:
                said = "%s failed (%s), the champion answers instead; later failures are only counted"
                log.error("canary      " + said, rival.model.title, type(error).__name__)
            return None
        trial.challenger.answered(made.latency_ms)
        return made

    async def _shown(
        self, request: PredictRequest, rival: PredictRequest, trial: Trial, asked: Rows
    ) -> PredictResponse:
        """The champion's answer, of which the challenger is asked a copy."""
        try:
            made = await self._by_champion(request, asked)
        except Refused:
            # Nobody was asked.
            raise
        except Exception:
            self.shadow.put(self._copy(request, rival, trial, asked, None))
            raise
        self.shadow.put(self._copy(request, rival, trial, asked, made))
        return made

    def _copy(
        self, request: PredictRequest, rival: PredictRequest, trial: Trial, asked: Rows, made: PredictResponse | None
    ) -> Copy:
        alike, limits = trial.alike(request.model, rival.model), self.limits
        return Copy(
            trial,
            request.model,
            rival.model,
            asked,
            (lambda: asked) if alike else (lambda: rival.read(limits)),
            request.size(asked),
            request.ask.id,
            self.clock() if made is None else made.at,
            None if made is None else made.latency_ms,
        )

    def _stands(self, challenger: ServedModel) -> bool:
        """False for one whose trial ended since the request came; that is no failure of it."""
        place = self.loaded.place(challenger.model)
        return place is not None and place.challenger is challenger


def _is_ours(error: Exception) -> bool:
    """True for what is no fault of the request."""
    return not isinstance(error, Refused) or error.status >= 500
