"""What is examined, and the bounds that it is held to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from evergreen.settings import Settings


@dataclass(frozen=True)
class Bounds:
    """From where on something is wrong.

    `skew`: what one machine writes another compares with its own clock. The shortest such wait is the ten seconds
    after which a worker looks for work again, so half of that is the bound. `undelivered`: how long a message may wait.
    `behind`: how long a champion may not be served yet.
    """

    free_bytes: int = 1_000_000_000
    free_share: float = 0.05
    skew: timedelta = timedelta(seconds=5)
    undelivered: timedelta = timedelta(hours=1)
    behind: timedelta = timedelta(minutes=1)


@dataclass(frozen=True)
class Patient:
    """A set-up: where its state lives, what its environment says, and whose clock it is compared with.

    `project` is the folder with flows/, where the doctor is called in one. `ports` are those that `evergreen up` would
    open, by what they are for.
    """

    settings: Settings
    environ: Mapping[str, str]
    clock: Callable[[], datetime]
    bounds: Bounds = Bounds()
    project: Path = Path()
    ports: Mapping[str, int] = field(default_factory=lambda: {"prefect": 4200, "mlflow": 5000, "serve": 8000})
