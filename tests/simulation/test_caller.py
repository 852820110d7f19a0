"""A caller of a real application: it asks, tells what came true in time, and counts what went wrong."""

import asyncio
from datetime import timedelta

import httpx
import numpy as np
import pandas as pd
import pytest

from evergreen.serving.capture import Capture, CaptureLimits
from evergreen.simulation.caller import Caller, Plan
from evergreen.simulation.client import Server
from evergreen.simulation.kinds import Drift
from evergreen.spec.model import ModelSpec
from evergreen.store.ledger import Ledger
from evergreen.store.traffic import Traffic
from evergreen.store.traffic_writer import TrafficWriter
from tests.serving.application import NOW, application, connect, served

SPEC = ModelSpec.model_validate(
    {
        "model": "parcels",
        "task": "classification",
        "data": {
            "source": {"kind": "csv", "path": "parcels.csv"},
            "target": "late",
            "time_column": "last",
            "id_column": "parcel",
        },
        "schema": {
            "columns": {
                "price": {"type": "number", "min": 0, "max_null_share": 0.1},
                "count": {"type": "integer", "min": 0},
                "gift": {"type": "boolean"},
                "last": {"type": "datetime"},
            }
        },
        "features": {
            "derive": [{"name": "weekday", "kind": "weekday", "of": "last"}],
            "numeric": ["price", "count", "gift", "weekday"],
            "categorical": ["plan", "note"],
        },
        "training": {
            "split": {"kind": "random"},
            "metric": "f1_weighted",
            "candidates": [{"kind": "logistic_regression"}],
        },
        "gates": {"absolute": {"accuracy": {"at_least": 0.5}}},
    }
)


def pool(rows=300):
    draw = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "price": draw.uniform(0, 100, rows),
            "count": draw.integers(0, 9, rows).astype(float),
            "plan": pd.Categorical(draw.choice(["basic", "plus", "pro"], rows)),
            "gift": draw.integers(0, 2, rows).astype(float),
            "last": pd.Series(pd.Timestamp("2026-01-01") + pd.to_timedelta(draw.integers(0, 90, rows), unit="D")),
            "note": pd.Categorical(draw.choice(["fragile", "heavy"], rows)),
            "late": pd.Categorical(draw.choice(["yes", "no"], rows)),
        }
    )


class Inside(httpx.BaseTransport):
    """The way to an application of this process."""

    def __init__(self, app):
        self.app = app

    def handle_request(self, request):
        async def once():
            async with connect(self.app) as client:
                return await client.request(
                    request.method, request.url.path, content=request.content, headers=request.headers
                )

        answer = asyncio.run(once())
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


class Time:
    """A clock that goes on when somebody waits."""

    def __init__(self):
        self.now = NOW

    def clock(self):
        return self.now

    def wait(self, seconds):
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def store(tmp_path):
    url = f"sqlite:///{tmp_path / 'evergreen.db'}"
    Ledger(url).prepare()
    return Traffic(url)


@pytest.fixture
def shop(store):
    capture = Capture(TrafficWriter(store.url), lambda: NOW, limits=CaptureLimits(linger=60))
    yield httpx.Client(transport=Inside(application(served(), capture=capture, labels=store)))
    capture.close(30)


def send(client, **plan):
    time = Time()
    caller = Caller(
        pool(), SPEC, Plan(**{"rows": 60, **plan}), Server("http://localhost", "parcels"), time.clock, time.wait
    )
    return caller.send(client, lambda: False), time


def test_every_row_is_answered_and_its_outcome_told(shop, store):
    sent, time = send(shop)
    assert (sent.rows, sent.labels, sent.refused, sent.failed) == (60, 60, 0, 0)
    assert sent.versions == {1: 60}
    assert time.now - NOW >= timedelta(seconds=0.6)


def test_outcomes_are_told_for_a_share_and_not_before_their_delay(shop):
    told = []
    sent, _ = send(shop, rows=200, label_share=0.5)
    assert 70 < sent.labels < 130
    time = Time()
    plan = Plan(rows=100, label_delay=timedelta(minutes=4))
    caller = Caller(pool(), SPEC, plan, Server("http://localhost", "parcels"), time.clock, time.wait)
    caller.send(shop, lambda: False, lambda sent: told.append(sent.labels))
    assert set(told) == {0}
    assert caller.sent.labels == 100


def test_rows_of_a_broken_feed_are_refused_one_by_one(shop):
    sent, _ = send(shop, rows=200, drift=Drift.BROKEN_FEED)
    assert sent.rows + sent.refused == 200
    assert 20 < sent.refused < 120


def test_the_drift_sets_in_after_so_many_rows(shop):
    sent, _ = send(shop, rows=200, drift=Drift.BROKEN_FEED, drift_after=200)
    assert sent.refused == 0


def test_rows_come_as_if_they_were_of_now():
    time = Time()
    caller = Caller(pool(), SPEC, Plan(), Server("", "parcels"), time.clock, time.wait)
    rows = caller._draw(0, np.random.default_rng(0))
    assert {row.fields["last"] for row in rows} == {f"{NOW:%Y-%m-%dT%H:%M:%S}Z"}
    assert len({row.row_id for row in rows}) == len(rows)
    assert all(row.fields["parcel"] == row.row_id for row in rows)


def test_a_server_that_fails_is_counted_and_not_hidden():
    time = Time()
    nobody = Caller(pool(), SPEC, Plan(rows=20), Server("http://127.0.0.1:9", "parcels"), time.clock, time.wait)
    sent = nobody.run(lambda: False)
    assert (sent.rows, sent.failed) == (0, 20)
    assert "does not answer" in sent.problem


def test_a_caller_stops_when_it_is_told_to(shop):
    time, looks = Time(), iter([False, False, True, True, True])
    caller = Caller(pool(), SPEC, Plan(), Server("http://localhost", "parcels"), time.clock, time.wait)
    assert caller.send(shop, lambda: next(looks)).rows == 20
