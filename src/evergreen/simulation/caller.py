"""Somebody who asks a server, at a pace, and tells it later what came true."""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.errors import UnavailableError
from evergreen.simulation.client import Label, Server
from evergreen.simulation.drifts import draw_rows
from evergreen.simulation.kinds import Drift
from evergreen.simulation.rows import LiveRow, at_moment, known_columns, live_rows
from evergreen.spec.model import ModelSpec

if TYPE_CHECKING:
    import httpx
    import pandas as pd

_LABELS_AT_ONCE = 1_000
_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Plan:
    """What is sent. `rows` is None for as many as there is time for.

    `per_second` rows are sent a second, in requests of `request_rows`. After `drift_after` rows the drift sets in.
    Labels follow their answer after `label_delay`, for a share of the rows, a share of them wrong.
    """

    rows: int | None = None
    per_second: float = 100.0
    request_rows: int = 10
    drift: Drift = Drift.NONE
    drift_after: int | None = 0
    strength: float = 1.0
    label_delay: timedelta = timedelta(seconds=2)
    label_share: float = 1.0
    label_noise: float = 0.0
    seed: int = 0


@dataclass
class Sent:
    """What came of it so far. `versions` counts answered rows by version; `refused` are rows that the server would
    not take for what they hold, `failed` rows that it gave no answer to.
    """

    rows: int = 0
    refused: int = 0
    failed: int = 0
    labels: int = 0
    versions: Counter[int] = field(default_factory=Counter)
    problem: str = ""


@dataclass
class Caller:
    """Draws rows from `pool`, a canonical frame with outcomes, and asks `server` about them as if they came now.

    `clock` gives aware moments, `wait` sleeps for some seconds. The same plan draws the same rows.
    """

    pool: "pd.DataFrame"
    spec: ModelSpec
    plan: Plan
    server: Server
    clock: Callable[[], datetime]
    wait: Callable[[float], object]
    sent: Sent = field(default_factory=Sent)
    drifting: bool = False
    _due: deque[tuple[datetime, Label]] = field(default_factory=deque)

    def run(self, stop: Callable[[], bool], told: Callable[[Sent], object] | None = None) -> Sent:
        """Send until the plan is done or `stop` says so; then the labels that are due by then are sent as well.

        Raises UserError where the server knows neither model nor key; a server that does not answer is counted.
        """
        import httpx

        with httpx.Client(timeout=_PATIENCE_SECONDS, verify=self.server.url.startswith("https")) as client:
            return self.send(client, stop, told)

    def send(
        self, client: "httpx.Client", stop: Callable[[], bool], told: Callable[[Sent], object] | None = None
    ) -> Sent:
        """The same over a client that is open."""
        draw, begun, drawn = np.random.default_rng(self.plan.seed), self.clock(), 0
        while not stop() and (self.plan.rows is None or drawn < self.plan.rows):
            self.drifting = self.drifting or self._sets_in(drawn)
            rows = self._draw(drawn, draw)
            self._ask(client, rows, draw)
            drawn += len(rows)
            self._tell(client, self.clock())
            if told is not None:
                told(self.sent)
            behind = begun + timedelta(seconds=drawn / self.plan.per_second) - self.clock()
            self.wait(max(0.0, behind.total_seconds()))
        if not stop():
            self.wait(self.plan.label_delay.total_seconds())
        self._tell(client, self.clock())
        return self.sent

    def _sets_in(self, drawn: int) -> bool:
        return self.plan.drift_after is not None and drawn >= self.plan.drift_after

    def _draw(self, drawn: int, draw: np.random.Generator) -> list[LiveRow]:
        plan, left = self.plan, self.plan.request_rows
        if plan.rows is not None:
            left = min(left, plan.rows - drawn)
        drift = plan.drift if self.drifting else Drift.NONE
        frame = draw_rows(self.pool, known_columns(self.spec), drift, plan.strength, left, draw)
        names = [f"{int(self.clock().timestamp())}-{plan.seed}-{drawn + place}" for place in range(left)]
        return list(live_rows(at_moment(frame, self.spec, self.clock()), self.spec, names))

    def _ask(self, client: "httpx.Client", rows: list[LiveRow], draw: np.random.Generator) -> None:
        try:
            answers = self.server.predict(client, [row.fields for row in rows])
        except UnavailableError as error:
            self.sent.failed += len(rows)
            self.sent.problem = str(error)
            return
        if answers is None and len(rows) > 1:
            # One bad row refuses its request: the good ones are asked alone, as a careful caller would.
            for row in rows:
                self._ask(client, [row], draw)
            return
        if answers is None:
            self.sent.refused += 1
            return
        self.sent.rows += len(rows)
        now = self.clock()
        for row, answer in zip(rows, answers, strict=True):
            self.sent.versions[answer.version] += 1
            known = draw.random() < self.plan.label_share
            label = self._noisy(row.label, draw)
            if known and label is not None:
                at = now + self.plan.label_delay
                self._due.append((at, Label(answer.prediction_id, label, at)))

    def _noisy(self, label: Any, draw: np.random.Generator) -> Any:
        if draw.random() >= self.plan.label_noise:
            return label
        # A wrong label is that of some other row.
        other = self.pool[self.spec.data.target].iloc[int(draw.integers(len(self.pool)))]
        return str(other) if self.spec.task == "classification" else float(other)

    def _tell(self, client: "httpx.Client", now: datetime) -> None:
        due = list(self._take_due(now))
        for start in range(0, len(due), _LABELS_AT_ONCE):
            chunk = due[start : start + _LABELS_AT_ONCE]
            try:
                self.server.tell(client, chunk)
            except UnavailableError as error:
                self.sent.problem = str(error)
                self._due.extendleft((label.at, label) for label in reversed(due[start:]))
                return
            self.sent.labels += len(chunk)

    def _take_due(self, now: datetime) -> Iterator[Label]:
        while self._due and self._due[0][0] <= now:
            yield self._due.popleft()[1]
