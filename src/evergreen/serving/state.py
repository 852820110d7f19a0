"""What /ready and /version say."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from pydantic import BaseModel

from evergreen.serving.capture import CaptureState
from evergreen.serving.follow import Followed
from evergreen.serving.handles import ServedModel
from evergreen.serving.loaded import LoadedModels
from evergreen.serving.security import Guard
from evergreen.serving.trial import Counted, Trials


class Served(BaseModel):
    """A version that answers. `why` says why its engine is not the faster one; empty where it is."""

    version: int
    digest: str
    engine: str
    why: str
    trained_until: datetime | None = None


class Arm(BaseModel):
    """What this process counted of one side of a trial."""

    requests: int
    errors: int


class Tried(BaseModel):
    """How the challenger is tried: it answers a share of the requests (split), or is shown copies of it (shadow).

    `dropped` counts copies that it could not be asked.
    """

    decision: int
    kind: str
    share: float
    champion: Arm
    challenger: Arm
    dropped: int


class ModelState(BaseModel):
    """A model: who answers, how old the registry's answer is, and what is wrong, if anything is."""

    ready: bool
    champion: Served | None = None
    challenger: Served | None = None
    trial: Tried | None = None
    registry_age_seconds: float | None = None
    store_answers: bool | None = None
    refused_version: int | None = None
    problem: str = ""


class CaptureReport(BaseModel):
    """Predictions that wait for the store, were written, and were lost."""

    backlog: int
    written: int
    lost: int
    last_commit: datetime | None = None
    problem: str | None = None


class Readiness(BaseModel):
    """Whether requests are answered, and how things are."""

    status: Literal["ready", "not ready"]
    models: dict[str, ModelState] | None = None
    capture: CaptureReport | None = None
    keys: str | None = None


class Version(BaseModel):
    """Versions of Evergreen and of every champion."""

    evergreen: str
    models: dict[str, int | None]


class Follows(Protocol):
    """Whatever follows the registry for a model; evergreen.serving.follow.Follower does."""

    @property
    def state(self) -> Followed:
        """How that goes."""


class Captures(Protocol):
    """Whatever captures; evergreen.serving.capture.Capture does."""

    @property
    def state(self) -> CaptureState:
        """How that goes."""


@dataclass(frozen=True)
class State:
    """Everything that can be said about a server."""

    loaded: LoadedModels
    guard: Guard
    clock: Callable[[], datetime]
    evergreen: str
    capture: Captures | None = None
    following: Mapping[str, Follows] | None = None
    trials: Trials | None = None

    def readiness(self, in_full: bool) -> Readiness:
        """Ready once every model has a champion; more only to whom it may concern."""
        status: Literal["ready", "not ready"] = "ready" if self.loaded.ready else "not ready"
        if not in_full:
            return Readiness(status=status)
        models = {name: self._model(name) for name in self.loaded.names}
        return Readiness(status=status, models=models, capture=self._capture(), keys=self.guard.trouble or None)

    def version(self) -> Version:
        """What is served."""
        places = self.loaded.places.items()
        return Version(
            evergreen=self.evergreen,
            models={name: None if place.champion is None else place.champion.version for name, place in places},
        )

    def _model(self, name: str) -> ModelState:
        place, follower = self.loaded.place(name), (self.following or {}).get(name)
        champion = None if place is None else place.champion
        said = ModelState(
            ready=champion is not None,
            champion=_served(champion),
            challenger=_served(None if place is None else place.challenger),
            trial=self._trial(None if place is None else place.challenger),
        )
        if follower is not None:
            found = follower.state
            said.problem, said.refused_version, said.store_answers = found.problem, found.refused, found.store_answers
            if found.checked_at is not None:
                said.registry_age_seconds = round((self.clock() - found.checked_at).total_seconds(), 1)
        return said

    def _trial(self, challenger: ServedModel | None) -> Tried | None:
        trial = None if self.trials is None else self.trials.of(challenger)
        if trial is None:
            return None
        return Tried(
            decision=trial.decision,
            kind=trial.rules.kind,
            share=trial.rules.share,
            champion=_arm(trial.champion),
            challenger=_arm(trial.challenger),
            dropped=trial.dropped,
        )

    def _capture(self) -> CaptureReport | None:
        if self.capture is None:
            return None
        found = self.capture.state
        return CaptureReport(
            backlog=found.backlog,
            written=found.written,
            lost=found.lost,
            last_commit=found.last_commit,
            problem=found.problem,
        )


def _served(model: ServedModel | None) -> Served | None:
    if model is None:
        return None
    return Served(
        version=model.version,
        digest=model.digest,
        engine=model.engine.name,
        why=model.engine.why,
        trained_until=model.trained_until,
    )


def _arm(counted: Counted) -> Arm:
    totals = counted.totals
    return Arm(requests=totals.requests, errors=totals.errors)
