"""Serving counts what it is asked, also what it refuses and fails at; the counts reach the store."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from evergreen.errors import UnavailableError
from evergreen.serving.asked import AskedWriter, Asking
from evergreen.serving.capture import Capture
from evergreen.serving.ids import Ids
from evergreen.serving.kept import Kept
from evergreen.serving.limits import Limits
from evergreen.serving.loaded import LoadedModels
from evergreen.serving.service import Dependencies, build_app
from evergreen.store.asked import Asked, Minute, Requests
from evergreen.store.ledger import Ledger
from tests.serving.application import ROW, application, ask, failing, served

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Clock:
    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now


class Book:
    """Keeps what it is given, or raises."""

    def __init__(self):
        self.minutes, self.writes, self.down = {}, 0, False

    def write(self, process, minutes):
        if self.down:
            raise UnavailableError("the store does not answer")
        self.writes += len(minutes)
        self.minutes |= {(process, minute.model, minute.at): minute.counted for minute in minutes}


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def asking(clock):
    return Asking(clock)


def test_what_is_answered_refused_and_failed_at_is_counted_by_model(asking):
    app = application(failing(13.0), served(model="letters"), asking=asking)
    for row in (ROW, ROW, ROW | {"price": 13.0}, ROW | {"price": -1, "plan": "gold"}, ROW | {"price": -2}):
        ask(app, "POST", "/models/parcels/predict", json=row)
    ask(app, "POST", "/models/letters/predict", json=ROW)
    counted = {minute.model: minute.counted for minute in asking.take()}
    assert counted["parcels"] == Asked(2, 2, 1, {"price: min": 2, "plan: allowed": 1})
    assert counted["letters"] == Asked(1)


def not_ready(asking):
    return build_app(Dependencies(LoadedModels(["parcels"]), lambda: NOON, Ids(NOON, "test"), asking=asking))


def busy(asking):
    return application(served(), limits=Limits(batches=0, single_rows=0), asking=asking)


def not_kept(asking):
    capture = Capture(NoStore(), lambda: NOON, {"parcels": Kept(durable=True)})
    capture.close(0)
    return application(served(), capture=capture, asking=asking)


class NoStore:
    """Takes nothing."""

    def close(self):
        pass


@pytest.mark.parametrize("app", [not_ready, busy, not_kept], ids=lambda app: app.__name__)
def test_what_is_told_to_come_again_counts_as_failed(asking, app):
    reply = ask(app(asking), "POST", "/models/parcels/predict", json=ROW)
    assert (reply.status_code, reply.json()["error"]["kind"]) == (503, app.__name__)
    assert [minute.counted for minute in asking.take()] == [Asked(0, 0, 1)]


def test_a_rule_that_many_rows_of_a_request_break_counts_once(asking):
    app = application(served(), asking=asking)
    ask(app, "POST", "/predict", json={"rows": [ROW | {"price": -1}] * 5})
    assert asking.take()[0].counted == Asked(0, 1, 0, {"price: min": 1})


def test_names_that_callers_make_up_are_not_kept(asking):
    app = application(served(), asking=asking)
    for name in ("aunt_mary", "uncle_bob"):
        ask(app, "POST", "/predict", json=ROW | {name: 1})
    assert asking.take()[0].counted.broken == {"other fields: extra": 2}


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("/predict", {"content": b"no json", "headers": {"content-type": "application/json"}}),
        ("/models/nobody/predict", {"json": ROW}),
        ("/feedback", {"json": {"labels": []}}),
        ("/nowhere", {"json": ROW}),
    ],
)
def test_what_is_about_no_rows_of_a_model_counts_nowhere(asking, path, options):
    ask(application(served(), asking=asking), "POST", path, **options)
    assert asking.take() == []


def test_a_minute_that_is_over_is_given_once_and_the_running_one_again(asking, clock):
    asking.count("predict", "parcels", 200)
    clock.now += MINUTE
    asking.count("predict", "parcels", 500)
    first, again = asking.take(), asking.take()
    assert first == [Minute("parcels", NOON, Asked(1)), Minute("parcels", NOON + MINUTE, Asked(0, 0, 1))]
    assert again == first[1:]


def test_only_what_changed_is_written(asking):
    book = Book()
    writer = AskedWriter(asking, book, "a")
    asking.count("predict", "parcels", 200)
    assert [writer.write() for _ in range(3)] == [True, True, True]
    assert book.writes == 1
    asking.count("invocations", "parcels", 200)
    writer.write()
    assert book.minutes == {("a", "parcels", NOON): Asked(2)}


def test_counts_wait_for_a_store_that_is_down(asking, clock, caplog):
    book = Book()
    writer = AskedWriter(asking, book, "a")
    book.down = True
    for _ in range(3):
        asking.count("predict", "parcels", 200)
        assert not writer.write()
        clock.now += MINUTE
    book.down = False
    assert writer.write()
    assert Counter(minute for _, _, minute in book.minutes) == Counter(NOON + n * MINUTE for n in range(3))
    assert len(caplog.records) == 1


def test_counts_of_a_real_store_add_up(asking, tmp_path):
    url = f"sqlite:///{tmp_path / 'evergreen.db'}"
    Ledger(url).prepare()
    for process in ("a", "b"):
        asking.count("predict", "parcels", 200)
        AskedWriter(asking, Requests(url), process).write()
    assert Requests(url).between("parcels", NOON, NOON + MINUTE) == Asked(3)
