"""Everything that answers, put together."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

from evergreen.serving.app import Application, Route
from evergreen.serving.asked_seldom import build_pages
from evergreen.serving.batch import Lane
from evergreen.serving.body import Reader
from evergreen.serving.capture import Capture
from evergreen.serving.desk import Desk
from evergreen.serving.feedback import Labels, Listener
from evergreen.serving.keys import Keys, Scope
from evergreen.serving.limits import Limits
from evergreen.serving.metrics import Board, Gauge, Tally
from evergreen.serving.predict import Kitchen, Predictor
from evergreen.serving.security import Guard
from evergreen.serving.state import Follows, State


@dataclass(frozen=True)
class Outside:
    """What an application is built on, and does not own.

    `clock` says the time (aware, UTC), `ids` names requests. Without `capture` nothing is recorded, and without
    `labels` no feedback is taken. `following` says of each model how following the registry goes.
    """

    desk: Desk
    clock: Callable[[], datetime]
    ids: Callable[[], str]
    capture: Capture | None = None
    labels: Labels | None = None
    keys: Keys = field(default_factory=Keys)
    limits: Limits = field(default_factory=Limits)
    following: Mapping[str, Follows] = field(default_factory=dict)


def build_app(outside: Outside, version: str = "") -> Application:
    """The ASGI application: POST to predict, invocations and feedback, GET for state, metrics and documents."""
    desk, tally = outside.desk, Tally()
    guard = Guard(outside.keys, outside.limits, time.monotonic)
    reader = Reader(outside.limits)
    kitchen = _kitchen(outside, tally)
    app = Application(desk, guard, reader, tally, outside.ids, _routes(outside, kitchen))
    state = State(desk, guard, outside.clock, version, outside.capture, outside.following)
    board = Board(tally, desk, _gauges(outside, kitchen.lane, reader))
    app.others = build_pages(desk, guard, state, board, outside.ids, version)
    return app


def _kitchen(outside: Outside, tally: Tally) -> Kitchen:
    limits = outside.limits
    # Slow models and large requests do not wait for each other.
    calls, batches = (ThreadPoolExecutor(1, name) for name in ("evergreen-calls", "evergreen-batches"))
    lane = Lane(calls, limits.call_rows, limits.queue_rows, tally.call)
    return Kitchen(outside.desk, lane, batches, limits, outside.clock, tally, outside.capture)


def _routes(outside: Outside, kitchen: Kitchen) -> dict[str, Route]:
    predictor = Predictor(kitchen)
    listener = Listener(outside.desk, outside.labels, ThreadPoolExecutor(2, "evergreen-feedback"), outside.clock)
    routes = (
        Route("predict", Scope.PREDICT, predictor.predict),
        Route("invocations", Scope.PREDICT, predictor.invoke),
        Route("feedback", Scope.FEEDBACK, listener.listen),
    )
    return {route.name: route for route in routes}


def _gauges(outside: Outside, lane: Lane, reader: Reader) -> list[Gauge]:
    gauges: list[Gauge] = [
        ("rows_waiting", "Rows that wait for a model, or are with it.", lambda: lane.rows_waiting),
        ("held_bytes", "Bytes of bodies that are being read or answered.", lambda: reader.held),
    ]
    if (capture := outside.capture) is not None:
        gauges += [
            ("capture_backlog", "Predictions that wait for the store.", lambda: capture.state.backlog),
            ("capture_written_total", "Predictions that were written.", lambda: capture.state.written),
            ("capture_lost_total", "Predictions that were not captured.", lambda: capture.state.lost),
        ]
    return gauges
