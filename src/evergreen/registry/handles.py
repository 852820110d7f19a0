"""What leaves the registry: our own types, never MLflow's."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class RunHandle:
    """A tracking run. `url` opens its page where a tracking server is reachable, else None."""

    run_id: str
    experiment_id: str
    url: str | None = None


@dataclass(frozen=True)
class Champion:
    """The version behind alias `champion`.

    `trained_until` is the time of its newest training row (aware, UTC; None without a time column).
    `reference` and `profile` are local paths of the reference sample and its stored profile.
    """

    model: str
    version: int
    run_id: str
    source: str
    digest: str
    trained_until: datetime | None = None
    snapshot: str = ""
    reference: str = ""
    profile: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    registered_at: datetime | None = None


@dataclass(frozen=True)
class LoggedModel:
    """A model that is an artifact of a run; `uri` is what MLflow loads it from, `size_mb` all its files.

    `digest` is of all bytes, with the ids and times that MLflow writes among them, so that no two artifacts share it;
    `answers` is of what the model was asked, what it said and what it requires, which equal models share.
    """

    uri: str
    digest: str
    size_mb: float
    serialization: str
    answers: str


@dataclass(frozen=True)
class Registered:
    """A registered version of a model, and the digest of its artifact: that of an earlier run's where it is a twin.

    `passed_over` says of every equal version that is not it what is gone or damaged.
    """

    model: str
    version: int
    uri: str
    digest: str
    passed_over: tuple[str, ...] = ()
