"""Labelled traffic as it was known at a moment, in pieces, each request once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from evergreen.store import labelled as module
from evergreen.store.block import Block
from evergreen.store.fields import plain_field
from evergreen.store.labelled import LabelledTraffic
from evergreen.store.ledger import Ledger
from evergreen.store.prediction import Feedback, Prediction, Role
from evergreen.store.traffic import Traffic

NOW = datetime(2026, 3, 2, 6, 30, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def prediction(place: int = 0, **changes) -> Prediction:
    made = Prediction(
        id=f"r{place}.0",
        request=f"r{place}",
        model="churn",
        version=3,
        role=Role.CHAMPION,
        at=NOW + place * MINUTE,
        inputs={"price": place + 0.25, "plan": "basic"},
        prediction="no",
    )
    return replace(made, **changes)


def label(of: int, said: object = "yes", days: float = 1, **changes) -> Feedback:
    at = NOW + days * DAY
    return replace(Feedback("churn", said, at, at, prediction_id=f"r{of}.0"), **changes)


@pytest.fixture
def traffic(ledger: Ledger) -> Traffic:
    return Traffic(ledger.url)


def read(traffic: Traffic, days: float = 30, **options) -> dict[str, object]:
    found = {}
    for chunk in LabelledTraffic(traffic.url).chunks("churn", NOW + days * DAY, **options):
        names, labels = (chunk.answers.column(name).to_pylist() for name in ("id", "label"))
        assert chunk.inputs.num_rows == len(names)
        found |= dict(zip(names, labels, strict=True))
    return found


def test_rows_without_a_label_are_left_out_unless_they_are_asked_for(traffic):
    traffic.write([prediction(place) for place in range(3)], NOW + MINUTE)
    traffic.write_feedback([label(1)])
    assert read(traffic) == {"r1.0": "yes"}
    assert read(traffic, unlabelled=True) == {"r0.0": None, "r1.0": "yes", "r2.0": None}


def test_a_shadow_is_no_row_of_its_own(traffic):
    shadow = prediction(0, version=4, role=Role.CHALLENGER)
    traffic.write([prediction(0), shadow], NOW + MINUTE)
    traffic.write_feedback([label(0)])
    (chunk,) = LabelledTraffic(traffic.url).chunks("churn", NOW + 2 * DAY)
    assert chunk.answers.column("version").to_pylist() == [3]


def test_a_moment_of_the_past_gives_the_same_rows_whatever_came_since(traffic):
    traffic.write([prediction(0), prediction(1)], NOW + MINUTE)
    traffic.write_feedback([label(0)])
    before = read(traffic, days=2)
    # Written late, labelled early; corrected; labelled for a moment that is over, and received after it.
    traffic.write([prediction(2)], NOW + 3 * DAY)
    traffic.write_feedback([label(2), label(0, "no", days=4), label(1, received_at=NOW + 5 * DAY)])
    assert read(traffic, days=2) == before == {"r0.0": "yes"}
    assert read(traffic, days=6) == {"r0.0": "no", "r1.0": "yes", "r2.0": "yes"}


def test_what_was_predicted_at_since_is_seen_already(traffic):
    traffic.write([prediction(place) for place in range(3)], NOW + MINUTE)
    traffic.write_feedback([label(place) for place in range(3)])
    assert list(read(traffic, since=NOW + MINUTE)) == ["r2.0"]


def test_a_version_that_captured_less_is_told_apart(traffic):
    traffic.write([prediction(0), prediction(1, version=4, inputs={"price": 1.0})], NOW + MINUTE)
    traffic.write_feedback([label(0), label(1)])
    (chunk,) = LabelledTraffic(traffic.url).chunks("churn", NOW + 2 * DAY, columns=["price", "plan"])
    assert dict(zip(*(chunk.answers.column(name).to_pylist() for name in ("id", "complete")), strict=True)) == {
        "r0.0": True,
        "r1.0": False,
    }


def test_pieces_together_are_the_whole(traffic, monkeypatch):
    for place in range(0, 12, 2):
        traffic.write([prediction(place), prediction(place + 1)], NOW + MINUTE)
    traffic.write_feedback([label(place, f"l{place}") for place in range(11)])
    whole = read(traffic)
    monkeypatch.setattr(module, "_GROUPS", 2)
    assert len(list(LabelledTraffic(traffic.url).chunks("churn", NOW + 2 * DAY))) == 3
    assert read(traffic) == whole == {f"r{place}.0": f"l{place}" for place in range(11)}


def test_rows_of_a_block_are_rows_like_others(traffic):
    block = Block(
        request="b1",
        model="churn",
        version=3,
        role=Role.CHAMPION,
        at=NOW,
        latency_ms=1.0,
        inputs={"price": plain_field([1.0, 2.0, 3.0]), "plan": plain_field(["basic", "pro", None])},
        prediction=plain_field(["no", "yes", "no"]),
        places=range(3),
    )
    traffic.write([block, prediction(5)], NOW + MINUTE)
    traffic.write_feedback([replace(label(5), prediction_id="b1.1"), label(5)])
    (chunk,) = LabelledTraffic(traffic.url).chunks("churn", NOW + 2 * DAY, columns=["price", "plan"])
    assert chunk.answers.select(["id", "label", "complete"]).to_pylist() == [
        {"id": "b1.1", "label": "yes", "complete": True},
        {"id": "r5.0", "label": "yes", "complete": True},
    ]
    assert chunk.inputs.to_pylist() == [{"price": 2.0, "plan": "pro"}, {"price": 5.25, "plan": "basic"}]
    assert read(traffic, since=NOW) == {"r5.0": "yes"}
    assert LabelledTraffic(traffic.url).known("churn", ["b1.2", "b1.3", "r5.0"]) == {"b1.2", "r5.0"}


def test_a_label_by_row_is_of_the_newest_request_before_it(traffic):
    requests = [prediction(place, row_id="c1") for place in (0, 10, 60 * 48)]
    traffic.write(requests, NOW + 3 * DAY)
    traffic.write_feedback([label(0, prediction_id=None, row_id="c1")])
    assert read(traffic) == {"r10.0": "yes"}
    assert read(traffic, since=NOW + 5 * MINUTE) == {"r10.0": "yes"}
