"""A store that is down for a while: what is still promised, and what the log says of it."""

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from evergreen.errors import UnavailableError
from evergreen.serving.capture import Capture, CaptureLimits
from evergreen.serving.handles import Prediction, Role
from evergreen.serving.kept import Kept

NOW = datetime(2026, 3, 2, 6, 30, tzinfo=UTC)


class Store:
    """Takes nothing while it is down."""

    def __init__(self) -> None:
        self.down, self.asked = False, 0
        self.kept: list[str] = []

    def write(self, rows: Sequence[Prediction], now: datetime) -> None:
        self.asked += 1
        if self.down:
            raise UnavailableError("the store does not answer")
        self.kept += [row.request for row in rows]

    def close(self) -> None:
        pass


def prediction(name: object) -> Prediction:
    return Prediction(f"{name}.0", f"{name}", "churn", 3, Role.CHAMPION, NOW, {"price": 1.5}, "no", row_id=f"c{name}")


def until(done) -> None:
    end = time.monotonic() + 30
    while not done():
        assert time.monotonic() < end
        time.sleep(0.002)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def open_capture(store):
    made: list[Capture] = []

    def build(**rules) -> Capture:
        limits = CaptureLimits(group_rows=1, linger=0, first_pause=0.001, longest_pause=0.005)
        made.append(Capture(store, lambda: NOW, {"churn": Kept(**rules)}, limits))
        return made[-1]

    yield build
    store.down = False
    for capture in made:
        capture.close(5)


def test_durable_is_a_promise_about_the_share_that_is_captured_and_about_nothing_else(store, open_capture):
    capture, rules = open_capture(share=0.5, durable=True), Kept(share=0.5)
    names = range(40)
    inside = [name for name in names if rules.takes(prediction(name))]
    assert 0 < len(inside) < len(names)

    async def ask() -> list[int]:
        answered = []
        for name in names:
            try:
                await capture.durable([prediction(name)])
            except UnavailableError:
                continue
            answered.append(name)
        return answered

    assert asyncio.run(ask()) == list(names)
    assert store.kept == [str(name) for name in inside]
    store.down = True
    assert asyncio.run(ask()) == [name for name in names if name not in inside]


def test_an_outage_is_one_line_at_its_beginning_and_one_at_its_end(store, open_capture, caplog):
    capture = open_capture()
    with caplog.at_level(logging.INFO, "evergreen.capture"):
        for outage in range(2):
            store.down, before = True, store.asked
            for name in range(5):
                capture.put([prediction((outage, name))])
            until(lambda before=before: store.asked >= before + 5)
            store.down = False
            until(lambda: capture.state.backlog == 0)
    begins, ends = "the store does not answer; predictions wait for it", "the store takes predictions again"
    said = [record.getMessage().removeprefix("capture: ") for record in caplog.records]
    assert [line.startswith(sign) for line, sign in zip(said, (begins, ends) * 2, strict=True)] == [True] * 4
    assert len(store.kept) == 10
