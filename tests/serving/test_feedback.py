"""Labels find the predictions that they are about, over a real store: early, late, corrected, twice, unknown, wrong."""

import asyncio
import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from evergreen.serving import feedback
from evergreen.serving.capture import Capture, CaptureLimits
from evergreen.serving.kept import Kept
from evergreen.serving.limits import Limits
from evergreen.store.ledger import Ledger
from evergreen.store.traffic import Traffic
from evergreen.store.traffic_writer import TrafficWriter
from tests.serving.application import NOW, ROW, application, ask, connect, served

DAY = timedelta(days=1)


@pytest.fixture
def traffic(tmp_path):
    url = f"sqlite:///{tmp_path / 'evergreen.db'}"
    Ledger(url).prepare()
    return Traffic(url)


@pytest.fixture
def shop(traffic):
    """An application, and how to let its capture catch up."""
    capture = Capture(TrafficWriter(traffic.url), lambda: NOW, limits=CaptureLimits(linger=60))
    yield application(served(), capture=capture, labels=traffic), capture
    capture.close(30)


def predict(app, **row) -> str:
    return ask(app, "POST", "/predict", json=ROW | row).json()["prediction_id"]


def tell(app, *labels):
    return ask(app, "POST", "/feedback", json={"feedback": list(labels)})


def outcomes(reply) -> list[str]:
    assert reply.status_code == 200, reply.text
    return [one["outcome"] for one in reply.json()["feedback"]]


def known(traffic, days: float = 30):
    found = traffic.labelled("parcels", NOW - DAY, NOW + DAY, NOW + days * DAY)
    names, labels = (found.answers.column(name).to_pylist() for name in ("id", "label"))
    return dict(zip(names, labels, strict=True))


def test_a_label_may_come_before_its_prediction_is_written(shop, traffic):
    app, capture = shop
    name = predict(app)
    assert outcomes(tell(app, {"prediction_id": name, "label": "yes"})) == ["unknown"]
    assert known(traffic) == {}
    capture.close(30)
    assert known(traffic) == {name: "yes"}


def test_what_was_said_is_corrected_by_what_is_known_later(shop, traffic):
    app, capture = shop
    names = [predict(app, parcel=f"p{place}") for place in range(3)]
    capture.close(30)
    first = {"prediction_id": names[0], "label": "yes"}
    assert outcomes(tell(app, first, {"row_id": "p1", "label": "no"}, {"row_id": "p9", "label": "no"})) == [
        "new",
        "new",
        "unknown",
    ]
    before = (NOW - DAY / 2).isoformat()
    assert outcomes(tell(app, first, first | {"label": "no"}, first | {"at": before})) == [
        "duplicate",
        "corrected",
        "outdated",
    ]
    assert known(traffic) == {names[0]: "no", names[1]: "no"}
    assert [count.labelled for count in traffic.counts("parcels", NOW - DAY, NOW + DAY)] == [2]


def test_a_prediction_that_was_not_captured_stays_unknown(traffic):
    capture = Capture(TrafficWriter(traffic.url), lambda: NOW, {"parcels": Kept(share=0)})
    app = application(served(), capture=capture, labels=traffic)
    name = predict(app)
    capture.close(30)
    assert outcomes(tell(app, {"prediction_id": name, "label": "yes"})) == ["unknown"]
    assert known(traffic) == {}


def test_a_row_whose_name_is_never_kept_is_named_by_no_label(traffic):
    app = application(replace(served(), keeps_rows=False), labels=traffic)
    reply = tell(app, {"prediction_id": "a.0", "row_id": "card 4711", "label": "yes"})
    assert reply.status_code == 422
    (problem,) = reply.json()["error"]["problems"]
    assert (problem["field"], "never kept" in problem["why"]) == ("row_id", True)
    assert outcomes(tell(app, {"prediction_id": "a.0", "label": "yes"})) == ["unknown"]


@pytest.mark.parametrize(
    ("label", "rule"),
    [
        ("perhaps", "allowed"),
        (1, "allowed"),
        (None, "null"),
        ({"yes": 1}, "type"),
    ],
)
def test_a_label_is_one_of_the_classes(shop, traffic, label, rule):
    app, _ = shop
    reply = tell(app, {"row_id": "p1", "label": "yes"}, {"row_id": "p2", "label": label})
    assert reply.status_code == 422
    problem = reply.json()["error"]["problems"][0]
    assert (problem["rule"], problem["field"], problem["row"]) == (rule, "label", 1)
    # All or nothing: the good one beside it is not kept either.
    assert outcomes(tell(app, {"row_id": "p1", "label": "yes"})) == ["unknown"]


def test_a_label_is_judged_by_the_classes_of_the_version_that_it_is_about(shop, traffic):
    app, capture = shop
    name = predict(app, parcel="p1")
    capture.close(30)
    later = application(replace(served(2), classes=("early", "late")), labels=traffic)
    assert outcomes(tell(later, {"prediction_id": name, "label": "no"})) == ["new"]
    assert outcomes(tell(later, {"row_id": "p1", "label": "yes"})) == ["corrected"]
    for label in ({"prediction_id": name, "label": "perhaps"}, {"prediction_id": "another.0", "label": "no"}):
        reply = tell(later, {"prediction_id": name, "label": "late"}, label)
        assert reply.status_code == 422
        (problem,) = reply.json()["error"]["problems"]
        assert (problem["rule"], problem["row"]) == ("allowed", 1)
    assert known(traffic) == {name: "yes"}


@pytest.mark.parametrize(("label", "status"), [(12.5, 200), (3, 200), ("much", 422), (True, 422)])
def test_the_label_of_a_regression_is_a_number(traffic, label, status):
    app = application(replace(served(), task="regression", classes=()), labels=traffic)
    assert tell(app, {"row_id": "p1", "label": label}).status_code == status


class Shelf:
    """Keeps labels once it may, and says in which thread it was asked."""

    def __init__(self, free=True):
        self.free = threading.Event()
        if free:
            self.free.set()

    def write_feedback(self, feedback):
        assert self.free.wait(20)
        return ["new"] * len(feedback)


@pytest.mark.parametrize(("count", "apart"), [(2, False), (3_000, True)])
def test_many_labels_are_not_read_on_the_loop(monkeypatch, count, apart):
    threads = []

    def noted(body):
        threads.append(threading.current_thread() is not threading.main_thread())
        return items(body)

    items = feedback._items
    monkeypatch.setattr(feedback, "_items", noted)
    app = application(served(), labels=Shelf())
    labels = [{"row_id": f"parcel {place}", "label": "yes"} for place in range(count)]
    assert outcomes(tell(app, *labels)) == ["new"] * count
    assert threads == [apart]
    if apart:
        assert tell(app, *labels, {"label": "yes"}).status_code == 422


def test_labels_that_wait_for_the_store_have_a_bound():
    shelf = Shelf(free=False)
    app = application(served(), labels=shelf, limits=Limits(batches=4))
    said = ("POST", "/feedback", {"json": {"row_id": "p1", "label": "yes"}})

    async def run():
        async with connect(app) as client:
            asked = [asyncio.ensure_future(client.post(said[1], **said[2])) for _ in range(6)]
            # Those who are refused are told at once.
            _, waiting = await asyncio.wait(asked, timeout=20, return_when=asyncio.FIRST_COMPLETED)
            shelf.free.set()
            return [reply.status_code for reply in await asyncio.gather(*asked)], len(waiting)

    statuses, waiting = asyncio.run(run())
    assert sorted(statuses) == [200] * 4 + [503] * 2
    assert waiting >= 4


def test_a_store_that_is_down_keeps_no_label_and_says_so(tmp_path):
    app = application(served(), labels=Traffic(f"sqlite:///{tmp_path}/no/evergreen.db"))
    reply = tell(app, {"row_id": "p1", "label": "yes"})
    assert reply.status_code == 503
    assert str(tmp_path) not in reply.text
