"""Everything that answers, put together."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

from evergreen.serving.app import Application, Route
from evergreen.serving.asked import Asking
from evergreen.serving.asked_seldom import build_pages
from evergreen.serving.batch import Lane, Lanes
from evergreen.serving.body import Reader
from evergreen.serving.capture import Capture
from evergreen.serving.contest import Contest
from evergreen.serving.feedback import Labels, Listener
from evergreen.serving.keys import Keys, Scope
from evergreen.serving.limits import Limits
from evergreen.serving.loaded import LoadedModels
from evergreen.serving.metrics import Board, Gauge, Tally
from evergreen.serving.predict import Predictor
from evergreen.serving.scheduler import Scheduler
from evergreen.serving.security import Guard
from evergreen.serving.shadow import Shadow
from evergreen.serving.shortcut import PREDICT, Shortcut
from evergreen.serving.state import Follows, State
from evergreen.serving.trial import Trials


@dataclass(frozen=True)
class Dependencies:
    """What an application is built on, and does not own.

    `clock` says the time (aware, UTC), `ids` names requests. Without `capture` nothing is recorded, and without
    `labels` no feedback is taken. `following` says of each model how following the registry goes. `trials` is where
    challengers are counted, and `shadow` asks them copies; `asking` counts requests for monitoring.
    """

    loaded: LoadedModels
    clock: Callable[[], datetime]
    ids: Callable[[], str]
    capture: Capture | None = None
    labels: Labels | None = None
    keys: Keys = field(default_factory=Keys)
    limits: Limits = field(default_factory=Limits)
    following: Mapping[str, Follows] = field(default_factory=dict)
    trials: Trials = field(default_factory=Trials)
    shadow: Shadow = field(default_factory=Shadow)
    asking: Asking | None = None


def build_app(dependencies: Dependencies, version: str = "") -> Application:
    """The ASGI application: POST to predict, invocations and feedback, GET for state, metrics and documents."""
    loaded, tally = dependencies.loaded, Tally(dependencies.asking)
    guard = Guard(dependencies.keys, dependencies.limits, time.monotonic)
    reader = Reader(dependencies.limits)
    contest = _contest(dependencies, tally)
    capture, trials = dependencies.capture, dependencies.trials
    predictor = Predictor(loaded, contest, tally, capture)
    app = Application(loaded, guard, reader, tally, dependencies.ids, _routes(dependencies, predictor))
    app.shortcut = Shortcut(predictor, guard, dependencies.ids, dependencies.limits.body_bytes)
    state = State(
        loaded, guard, dependencies.clock, version, dependencies.capture, dependencies.following, dependencies.trials
    )
    gauges = _gauges(dependencies, (contest.scheduler.lane, contest.spare.lane), reader)
    board = Board(tally, loaded, gauges, trials, lambda: state.readiness(True).models or {})
    app.others = build_pages(loaded, guard, state, board, dependencies.ids, version)
    return app


def _contest(dependencies: Dependencies, tally: Tally) -> Contest:
    limits, clock = dependencies.limits, dependencies.clock
    # A challenger that is slow, or never comes back, is nobody else's business.
    scheduler, spare = (_scheduler(dependencies, tally, name) for name in ("evergreen", "challenger"))
    return Contest(dependencies.loaded, scheduler, spare, dependencies.trials, dependencies.shadow, limits, clock)


def _scheduler(dependencies: Dependencies, tally: Tally, name: str) -> Scheduler:
    limits = dependencies.limits
    # Slow models and large requests do not wait for each other.
    batches = ThreadPoolExecutor(1, f"{name}-batches")

    def lane() -> Lane:
        calls = ThreadPoolExecutor(1, f"{name}-calls")
        return Lane(calls, limits.call_rows, limits.queue_rows, tally.call)

    return Scheduler(Lanes(lane), batches, limits, dependencies.clock)


def _routes(dependencies: Dependencies, predictor: Predictor) -> dict[str, Route]:
    listener = Listener(
        dependencies.loaded,
        dependencies.labels,
        ThreadPoolExecutor(2, "evergreen-feedback"),
        dependencies.clock,
        dependencies.limits.batches,
    )
    routes = (
        Route(PREDICT, Scope.PREDICT, predictor.predict),
        Route("invocations", Scope.PREDICT, predictor.invoke),
        Route("feedback", Scope.FEEDBACK, listener.listen),
    )
    return {route.name: route for route in routes}


def _gauges(dependencies: Dependencies, lanes: Sequence[Lanes], reader: Reader) -> list[Gauge]:
    gauges: list[Gauge] = [
        (
            "rows_waiting",
            "Rows that wait for a model, or are with it.",
            lambda: sum(lane.rows_waiting for lane in lanes),
        ),
        ("held_bytes", "Bytes of bodies that are being read or answered.", lambda: reader.held),
    ]
    if (capture := dependencies.capture) is not None:
        gauges += [
            ("capture_backlog", "Predictions that wait for the store.", lambda: capture.state.backlog),
            ("capture_written_total", "Predictions that were written.", lambda: capture.state.written),
            ("capture_lost_total", "Predictions that were not captured.", lambda: capture.state.lost),
        ]
    return gauges
