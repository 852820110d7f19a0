"""A row that is answered at the door is answered as on the long way; whatever is out of the ordinary takes that."""

import asyncio
import json
import re
import threading
import time
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import uvicorn
from uvicorn.server import ServerState

from evergreen.registry.artifact import answer
from evergreen.serving.asked import Asking
from evergreen.serving.capture import Capture, CaptureLimits
from evergreen.serving.door import Door
from evergreen.serving.engine import build_engine
from evergreen.serving.handles import Role, ServedModel
from evergreen.serving.ids import Ids
from evergreen.serving.kept import Kept
from evergreen.serving.keys import Keys, Scope, make_key
from evergreen.serving.limits import Limits
from evergreen.serving.loaded import LoadedModels
from evergreen.serving.service import Dependencies, build_app
from evergreen.serving.trial import Trials
from evergreen.spec.canary import CanaryRules
from evergreen.spec.features import FeatureSpec
from tests.serving.application import NOW
from tests.serving.pipelines import columns_read, fitted, frame
from tests.serving.test_server import Wire

ROW = {"price": 9.5, "unit count": 3, "plan": "pro", "parcel": "p-7"}
PLAIN = FeatureSpec(numeric=("price", "unit count"), categorical=("plan",))
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@cache
def served(version=1, kind="logistic_regression"):
    pipeline = fitted(kind, "classification", PLAIN, classes=2)
    requests = frame(20, seed=2)[list(pipeline["read"].types)]
    engine = build_engine(pipeline, requests, answer(pipeline, requests))
    columns = columns_read(pipeline)
    return ServedModel(
        "parcels",
        version,
        f"{version:064x}",
        "classification",
        columns,
        engine,
        "parcel",
        classes=engine_classes(engine),
    )


def engine_classes(engine):
    return engine.answer([(1.0, 1.0, "pro")]).classes


class Shelf:
    """A writer that keeps what it is given."""

    def __init__(self):
        self.rows = []
        self.open = threading.Event()
        self.open.set()

    def write(self, rows, now):
        assert self.open.wait(30)
        self.rows += rows

    def close(self):
        pass


class Place:
    """An application, a connection to it, and what was kept of what it said."""

    def __init__(self, *models, kept=None, room=50_000, **dependencies):
        self.shelf = Shelf()
        limits = CaptureLimits(queue_rows=room, patience=0.0)
        self.capture = Capture(self.shelf, lambda: NOW, {"parcels": kept} if kept else None, limits)
        self.asking = Asking(lambda: NOW)
        self.loaded = LoadedModels(["parcels"])
        for model in models or (served(),):
            self.loaded.swap(model)
        ids = Ids(NOW, "test")
        more = {"asking": self.asking, **dependencies}
        self.app = build_app(Dependencies(self.loaded, lambda: NOW, ids, self.capture, **more))
        self.short = 0
        self.way = self.app.shortcut.answer
        self.app.shortcut.answer = self.count

    def count(self, *request):
        found = self.way(*request)
        self.short += found is not None
        return found

    def talk(self, *pieces, shortcut=True, turns=300, app=None, seconds=0.0, **config):
        """What is said to somebody who says this, or does it between."""

        async def run():
            how = uvicorn.Config(app or self.app, http=Door, ws="none", lifespan="off", log_config=None, **config)
            how.load()
            wire = Wire()
            came = Door(how, ServerState(), {}, shortcut=self.app.shortcut if shortcut else None)
            came.connection_made(wire)
            for piece in pieces:
                piece(came) if callable(piece) else came.data_received(piece)
                for _ in range(turns):
                    await asyncio.sleep(0)
            # Tables are read in a thread.
            deadline = time.monotonic() + 20
            while not (wire.written or wire.closed) and time.monotonic() < deadline:
                await asyncio.sleep(0.005)
            await asyncio.sleep(seconds)
            closed = wire.closed
            came.connection_lost(None)
            wire.closed = closed
            return wire

        return asyncio.run(run())

    def kept(self):
        assert self.capture.close(30) == 0
        return self.shelf.rows


def request(body=ROW, path="/predict", headers=(), method="POST", version="1.1"):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/{version}", "host: localhost", f"content-length: {len(content)}"]
    given = dict(headers)
    lines += [f"{name}: {value}" for name, value in ({"content-type": "application/json"} | given).items() if value]
    return "\r\n".join([*lines, "", ""]).encode() + content


def parts(written):
    """Status, headers and body of an answer."""
    head, _, body = written.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    return status, dict(line.split(b": ", 1) for line in lines), body


@pytest.mark.parametrize("path", ["/predict", "/models/parcels/predict"])
def test_it_says_and_keeps_what_the_long_way_does(path):
    short, long = Place(), Place()
    answers = [
        parts(place.talk(request(path=path), shortcut=place is short, turns=30).written) for place in (short, long)
    ]
    assert answers[0] == answers[1]
    status, headers, body = answers[0]
    assert status == b"HTTP/1.1 200 OK"
    assert headers[b"cache-control"] == b"no-store"
    assert json.loads(body)["row_id"] == "p-7"
    assert (short.short, long.short) == (1, 0)
    kept = [[replace(one, latency_ms=0.0) for one in place.kept()] for place in (short, long)]
    assert kept[0] == kept[1] != []
    assert short.asking.take() == long.asking.take() != []


def test_what_metrics_count_is_the_same():
    places = {place: place.talk(request(), request(b"{"), shortcut=shortcut) for place, shortcut in both()}
    tallies = [place.app._tally for place in places]
    assert tallies[0].requests == tallies[1].requests
    assert tallies[0].rows == tallies[1].rows
    assert tallies[0].refusals == tallies[1].refusals
    assert [sum(tally.call_rows.counts) for tally in tallies] == [1, 1]


def both():
    return [(Place(), True), (Place(), False)]


LONG = {
    "two rows": request({"rows": [ROW, ROW]}),
    "a list of one": request({"rows": [ROW]}),
    "a field too much": request({**ROW, "colour": "red"}),
    "no JSON": request(b'{"price": '),
    "NaN": request(json.dumps({**ROW, "price": float("nan")}).encode()),
    "no content type": request(headers={"content-type": None}),
    "a table": request(headers={"content-type": "application/vnd.apache.arrow.stream"}),
    "an answer as a table": request(headers={"accept": "application/vnd.apache.parquet"}),
    "another host": request(headers={"host": "evil.example"}),
    "another method": request(method="PUT"),
    "another model": request(path="/models/other/predict"),
    "a query": request(path="/predict?really=1"),
    "MLflow's form": request({"dataframe_records": [ROW]}, path="/invocations"),
    "a large body": request({**ROW, "parcel": "x" * 9_000}),
    "the end of the connection": request(headers={"connection": "close"}),
    "an old protocol": request(version="1.0"),
    "an old protocol that goes on": request(version="1.0", headers={"connection": "keep-alive"}),
    "asked to go on": request(headers={"expect": "100-continue"}),
    "another protocol": request(headers={"connection": "upgrade", "upgrade": "websocket"}),
}


@pytest.mark.parametrize("said", LONG.values(), ids=list(LONG))
def test_what_is_out_of_the_ordinary_goes_the_long_way(said):
    (place, _), (other, _) = both()
    here, there = place.talk(said), other.talk(said, shortcut=False)
    assert place.short == 0
    assert without_id(here.written) == without_id(there.written) != b""
    assert here.closed == there.closed
    assert len(place.kept()) == len(other.kept())


def without_id(written):
    """An answer without the id of its request, and without what is compressed with it."""
    status, headers, body = parts(written)
    named = headers.pop(b"x-request-id", b"?")
    headers.pop(b"content-length", None)
    return status, headers, body.replace(named, b"") if body[:1] == b"{" else len(body)


CHALLENGER = replace(
    served(2),
    role=Role.CHALLENGER,
    decision=1,
    trial=CanaryRules(kind="shadow", share=1),
)
ELSEWHERE = {
    "trees": {"models": (served(1, "hist_gradient_boosting"),)},
    "a challenger": {"models": (served(), CHALLENGER)},
    "nobody": {"models": (CHALLENGER,)},
    "a rate": {"limits": Limits(per_second=100.0)},
    "the store first": {"kept": Kept(durable=True)},
}


@pytest.mark.parametrize("how", ELSEWHERE.values(), ids=list(ELSEWHERE))
def test_where_more_is_to_be_done_everything_goes_the_long_way(how):
    place = Place(*how.get("models", ()), **{name: value for name, value in how.items() if name != "models"})
    said = place.talk(request(), turns=5_000).written
    assert place.short == 0
    assert said.startswith(b"HTTP/1.1 503" if how is ELSEWHERE["nobody"] else b"HTTP/1.1 200")


def test_keys_are_looked_at():
    (right, shop), (label, other) = make_key("shop", [Scope.PREDICT]), make_key("labels", [Scope.FEEDBACK])
    place = Place(keys=Keys([shop, other]))
    for key, status in ((right, b"200"), ("wrong", b"401"), (label, b"403")):
        said = place.talk(request(headers={"authorization": f"Bearer {key}"})).written
        assert said.split()[1] == status
    assert place.short == 1


def test_an_engine_that_fails_fails_on_the_long_way_and_nothing_is_kept():
    model = served()

    def broken(row):
        raise ValueError("secret feature 4711")

    engine = replace(model.engine, single=broken)
    place = Place(replace(model, engine=engine))
    said = place.talk(request()).written
    assert (place.short, said.split()[1]) == (0, b"500")
    assert b"4711" not in said
    assert place.kept() == []


def test_what_comes_in_parts_or_behind_another_is_answered_in_turn():
    whole = request()
    for place, pieces in (
        (Place(), [whole[:-5], whole[-5:]]),
        (Place(), [whole[:20], whole[20:]]),
        (Place(), [bytes([byte]) for byte in whole]),
    ):
        assert place.talk(*pieces, turns=10).written.count(b"HTTP/1.1 200 OK") == 1
    place = Place()
    two, small = request({"rows": [ROW, {**ROW, "parcel": "p-8"}]}), request({**ROW, "parcel": "p-9"})
    said = place.talk(two + small + two + small).written
    assert re.findall(rb'"row_id":"(p-.)"', said) == [b"p-7", b"p-8", b"p-9"] * 2
    assert said.count(b"HTTP/1.1 200 OK") == 4
    assert len(place.kept()) == 6


def test_a_request_behind_a_short_one_is_not_taken_for_silence():
    place = Place()

    async def slow(scope, receive, send):
        await asyncio.sleep(0.4)
        await place.app(scope, receive, send)

    wire = place.talk(request() + request({"rows": [ROW]}), app=slow, timeout_keep_alive=0.05, seconds=0.42)
    assert wire.written.count(b"HTTP/1.1 200 OK") == 2
    assert place.short == 1


def test_a_connection_that_is_silent_after_a_short_answer_is_closed():
    place = Place()
    wire = place.talk(request(), timeout_keep_alive=0.05, seconds=0.3)
    assert (wire.closed, place.short) == (True, 1)
    assert not place.talk(request(), timeout_keep_alive=60, seconds=0.1).closed


def test_beyond_the_connections_that_are_answered_it_says_503():
    place = Place()
    assert place.talk(request(), limit_concurrency=1).written.startswith(b"HTTP/1.1 503")
    assert place.short == 0


def test_who_does_not_read_is_answered_once_there_is_room():
    place = Place()
    wire = place.talk(Door.pause_writing, request(), Door.resume_writing)
    assert (wire.written.count(b"HTTP/1.1 200 OK"), place.short) == (1, 0)


def test_who_asks_on_and_on_and_reads_nothing_is_left():
    place, waits = Place(), asyncio.Event()

    async def stuck(scope, receive, send):
        await waits.wait()

    wire = place.talk(request({"rows": [ROW]}) * 1_200, app=stuck, turns=1)
    assert wire.aborted


def test_a_watched_promotion_is_counted():
    trials = Trials()
    trials.watch({("parcels", 1): 5})
    place = Place(trials=trials)
    assert place.talk(request()).written.startswith(b"HTTP/1.1 200")
    ((decision, counted),) = trials.watched
    assert (decision, counted.totals.requests, place.short) == (5, 1, 0)


def test_without_room_in_the_queue_the_long_way_waits_for_it():
    place = Place(room=1)
    place.shelf.open.clear()
    for _ in range(2):
        assert place.talk(request()).written.startswith(b"HTTP/1.1 200")
    # The first is with the writer, and counts until it is written.
    assert (place.short, place.capture.state.lost) == (1, 1)
    place.shelf.open.set()
    assert len(place.kept()) == 1


RULES = {
    "some explored": (replace(served(), explore=0.4), None),
    "a share": (served(), Kept(share=0.4)),
    "a share by request": (replace(served(), id_column=None), Kept(share=0.4)),
    "some left out": (served(), Kept(leave_out={"plan"}, names_rows=False)),
    "explored, of a share": (replace(served(), explore=0.4), Kept(share=0.3, leave_out={"price"})),
}


@pytest.mark.parametrize(("model", "kept"), RULES.values(), ids=list(RULES))
def test_what_is_kept_is_what_the_rules_say(model, kept):
    rows = [{**ROW, "parcel": f"p-{number}"} for number in range(40)]
    if model.id_column is None:
        rows = [{name: value for name, value in row.items() if name != "parcel"} for row in rows]
    short, long = Place(model, kept=kept), Place(model, kept=kept)
    asked = [request(row) for row in rows]
    said = [place.talk(*asked, shortcut=place is short, turns=30).written for place in (short, long)]
    assert said[0] == said[1]
    assert (short.short, long.short) == (40, 0)
    kept = [[replace(one, latency_ms=0.0) for one in place.kept()] for place in (short, long)]
    assert kept[0] == kept[1] != []


def test_limits_below_those_of_a_short_row_hold():
    place = Place(limits=Limits(body_bytes=30))
    assert place.talk(request()).written.startswith(b"HTTP/1.1 413")
    assert place.short == 0


def test_answers_of_versions_are_never_mixed():
    """One swap between two requests on one connection."""
    place = Place(served(1))
    other = served(2)
    flipped = replace(other, engine=replace(other.engine, single=lambda row: flip(other.engine.single(row))))
    said = place.talk(request(), lambda _: place.loaded.swap(flipped), request()).written
    first, second = [json.loads(body) for body in re.findall(rb"\r\n\r\n(\{[^\r]*\})", said)]
    assert (first["version"], second["version"], place.short) == (1, 2, 2)
    assert first["prediction"] != second["prediction"]


def flip(answers):
    other = next(name for name in answers.classes if name != answers.predictions[0])
    return replace(answers, predictions=[other], probabilities=np.flip(answers.probabilities))
