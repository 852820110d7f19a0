"""What each stage of a contestant takes, and the names under which they are compared."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from processes import own_cpu, own_peak_mb

STAGES = (
    "start",
    "load",
    "validate",
    "drift",
    "features",
    "trials",
    "train",
    "log",
    "evaluate",
    "register",
    "finish",
)


class Recorder:
    """Seconds of CPU and wall clock by stage; time between stages belongs to the one that ends next."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[str, dict[str, float]] = {}
        # The interpreter was started before this line.
        self._last = (0.0, time.perf_counter())

    def mark(self, stage: str) -> None:
        """Everything since the mark before was this stage."""
        now = (own_cpu(), time.perf_counter())
        entry = self._found.setdefault(stage, {"cpu": 0.0, "wall": 0.0, "peak_mb": 0.0})
        entry["cpu"] += now[0] - self._last[0]
        entry["wall"] += now[1] - self._last[1]
        entry["peak_mb"] = own_peak_mb()
        self._last = now

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """A block that is a stage."""
        yield
        self.mark(stage)

    @property
    def stages(self) -> tuple[str, ...]:
        """Those that were reached."""
        return tuple(self._found)

    def write(self) -> None:
        """Keep what was found."""
        self._path.write_text(json.dumps(self._found))
