"""A challenger on trial: its share of the requests, what is counted, and that it costs nobody an answer."""

import asyncio
import threading
import time
from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.evaluation.totals import Totals, latency_bucket
from evergreen.serving.contest import Contest
from evergreen.serving.handles import Role
from evergreen.serving.ids import Ids
from evergreen.serving.loaded import LoadedModels
from evergreen.serving.reader import Rows
from evergreen.serving.service import Dependencies, build_app
from evergreen.serving.shadow import Copy, Shadow
from evergreen.serving.trial import Trial, Trials, is_picked, sticky_name
from evergreen.spec.canary import CanaryRules
from tests.serving.application import COLUMNS, NOW, ROW, Failing, application, ask, connect, gather, served

DECISION = 12
names = st.text(min_size=1, max_size=20)


def challenger(kind="split", share=0.5, **changes):
    """Version 2, on trial."""
    rules = CanaryRules(kind=kind, share=share)
    return replace(served(2), role=Role.CHALLENGER, decision=DECISION, trial=rules, **changes)


@dataclass
class Broken:
    """An engine that raises."""

    calls: int = 0
    name, why = "broken", "it is planted"

    def answer(self, rows):
        self.calls += 1
        raise RuntimeError("secret feature 4711")


class Blocked:
    """An engine that answers nobody until it is let go, but the first `free` calls, which are slow."""

    name, why = "blocked", "it is planted"

    def __init__(self, free=0):
        self.go, self.free = threading.Event(), free

    def answer(self, rows):
        if self.free:
            self.free -= 1
            time.sleep(0.005)
        elif not self.go.wait(30):
            raise TimeoutError
        return served(2).engine.answer(rows)


class Sink:
    """Keeps what it is given."""

    def __init__(self):
        self.kept = []

    def put(self, predictions, size=0):
        self.kept += predictions

    async def offer(self, predictions, size=0):
        self.put(predictions)


def posts(count, path="/predict", **more):
    return [("POST", path, {"json": {**ROW, "parcel": f"P-{i}", **more}}) for i in range(count)]


def counts(trials):
    (trial,) = trials.seen
    return {arm: (t.requests, t.errors) for arm in ("champion", "challenger") for t in [getattr(trial, arm).totals]}


@given(decision=st.integers(1, 10**6), share=st.floats(0.01, 1))
def test_a_share_of_all_names_is_picked(decision, share):
    picked = sum(is_picked(decision, f"customer-{i}", share) for i in range(400))
    assert abs(picked - 400 * share) <= 6 * (400 * share * (1 - share)) ** 0.5 + 1e-6


@given(decision=st.integers(1, 10**6), name=names, small=st.floats(0, 1), large=st.floats(0, 1))
def test_who_is_picked_stays_picked_when_the_share_grows(decision, name, small, large):
    small, large = sorted((small, large))
    assert is_picked(decision, name, large) or not is_picked(decision, name, small)


@given(ids=st.lists(st.none() | names, min_size=1, max_size=5), request=names)
def test_only_a_request_about_one_row_is_known_by_its_name(ids, request):
    one = len(set(ids)) == 1 and ids[0] is not None
    assert sticky_name(Rows([()] * len(ids), ids), request) == (ids[0] if one else request)


def test_a_row_is_always_answered_by_the_same_version_and_the_share_is_right():
    app = application(served(), challenger(share=0.3))
    said = [reply.json() for reply in gather(app, posts(200) * 2)]
    versions = {one["row_id"]: set() for one in said}
    for one in said:
        versions[one["row_id"]].add(one["version"])
    assert all(len(found) == 1 for found in versions.values())
    assert 35 <= sum(found == {2} for found in versions.values()) <= 85


@pytest.mark.parametrize("count", [1, 7, 100])
def test_an_answer_is_wholly_of_the_version_that_it_names(count):
    rows = [ROW | {"price": float(i % 100)} for i in range(count)]
    alone = {v: ask(application(served(v)), "POST", "/predict", json={"rows": rows}).json() for v in (1, 2)}
    replies = gather(application(served(), challenger()), [("POST", "/predict", {"json": {"rows": rows}})] * 24)
    seen = set()
    for reply in replies:
        said = reply.json()
        seen.add(said["version"])
        assert reply.headers["x-evergreen-model-version"] == str(said["version"])
        expected = [one["probabilities"]["yes"] for one in alone[said["version"]]["predictions"]]
        found = [one["probabilities"]["yes"] for one in said["predictions"]]
        assert found == pytest.approx(expected, abs=1e-9)
    assert seen == {1, 2}


def test_both_sides_of_a_split_are_counted_and_captured_in_their_roles(caught):
    trials = Trials()
    replies = gather(application(served(), challenger(), trials=trials, capture=caught), posts(60))
    versions = [reply.json()["version"] for reply in replies]
    assert counts(trials) == {"champion": (versions.count(1), 0), "challenger": (versions.count(2), 0)}
    (trial,) = trials.seen
    assert sum(trial.challenger.totals.latencies.values()) == versions.count(2)
    roles = {(one.version, one.role) for one in caught.kept}
    assert roles == {(1, Role.CHAMPION), (2, Role.CHALLENGER)}
    assert len(caught.kept) == 60


@pytest.fixture
def caught():
    class Capture(Sink):
        state = None

        async def offer(self, predictions, size=0):
            self.put(predictions)

        def is_durable(self, model):
            return False

    return Capture()


def test_a_challenger_that_raises_costs_nobody_an_answer(caught):
    trials, engine = Trials(), Broken()
    app = application(served(), challenger(engine=engine), trials=trials, capture=caught)
    replies = gather(app, posts(60))
    assert {(reply.status_code, reply.json()["version"]) for reply in replies} == {(200, 1)}
    errors = counts(trials)["challenger"][1]
    assert 0 < errors < 60
    assert counts(trials) == {"champion": (60 - errors, 0), "challenger": (errors, errors)}
    assert {one.role for one in caught.kept} == {Role.CHAMPION}


def test_a_challenger_that_refuses_what_the_champion_takes_has_failed():
    stricter = tuple(replace(column, max=10) if column.name == "price" else column for column in COLUMNS)
    stricter = tuple(next(c for c in stricter if c.name == column.name) for column in served(2).columns)
    trials = Trials()
    app = application(served(), challenger(share=1, columns=stricter), trials=trials)
    assert ask(app, "POST", "/predict", json=ROW | {"price": 9.0}).json()["version"] == 2
    reply = ask(app, "POST", "/predict", json=ROW | {"price": 11.0})
    assert (reply.status_code, reply.json()["version"]) == (200, 1)
    assert counts(trials) == {"champion": (0, 0), "challenger": (2, 1)}


@pytest.mark.parametrize("kind", ["split", "shadow"])
def test_a_request_that_is_wrong_counts_for_nobody(kind):
    trials, shadow = Trials(), Shadow()
    app = application(served(), challenger(kind, share=1), trials=trials, shadow=shadow)
    assert ask(app, "POST", "/predict", json=ROW | {"price": -1}).status_code == 422
    assert shadow.settle(20)
    assert counts(trials) == {"champion": (0, 0), "challenger": (0, 0)}


def test_a_champion_that_fails_is_counted_in_a_split():
    trials = Trials()
    broken = replace(served(), engine=Broken())
    replies = gather(application(broken, challenger(), trials=trials), posts(40))
    failed = sum(reply.status_code == 500 for reply in replies)
    assert 0 < failed < 40
    assert counts(trials) == {"champion": (failed, failed), "challenger": (40 - failed, 0)}


def test_tables_and_long_requests_are_split_too():
    trials = Trials()
    app = application(served(), challenger(share=1), trials=trials)
    table = pa.table({name: [value] * 3 for name, value in ROW.items()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    header = {"content-type": "application/vnd.apache.arrow.stream"}
    said = ask(app, "POST", "/predict", content=bytes(sink.getvalue()), headers=header).json()
    assert (said["version"], len(said["predictions"])) == (2, 3)
    long = ask(app, "POST", "/predict", json={"rows": [ROW] * 1_000}).json()
    assert (long["version"], len(long["predictions"])) == (2, 1_000)
    assert counts(trials)["challenger"] == (2, 0)


def test_whoever_waits_too_long_for_a_challenger_is_answered_by_the_champion(monkeypatch):
    monkeypatch.setattr("evergreen.serving.service.Contest", partial(Contest, patience=0.05))
    trials, engine = Trials(), Blocked(free=1)
    app = application(served(), challenger(share=1, engine=engine), trials=trials)
    assert ask(app, "POST", "/predict", json=ROW).json()["version"] == 2
    assert [reply.json()["version"] for reply in gather(app, posts(3))] == [1, 1, 1]
    engine.go.set()
    assert counts(trials)["challenger"] == (4, 3)


class Leaving(LoadedModels):
    """Its challenger is withdrawn as soon as somebody was told of it."""

    def place(self, name):
        found = super().place(name)
        if found.challenger is not None:
            self.withdraw(found.challenger)
        return found


def test_a_challenger_whose_trial_ends_meanwhile_answers_nobody_and_has_not_failed():
    loaded, trials = Leaving(["parcels"]), Trials()
    loaded.swap(served())
    loaded.swap(challenger(share=1))
    app = build_app(Dependencies(loaded, lambda: NOW, Ids(NOW, "x"), trials=trials))
    assert ask(app, "POST", "/predict", json=ROW).json()["version"] == 1
    assert counts(trials) == {"champion": (0, 0), "challenger": (0, 0)}


def test_a_shadow_is_asked_the_same_and_nobody_sees_what_it_says():
    sink, trials = Sink(), Trials()
    shadow = Shadow(sink)
    app = application(served(), challenger("shadow", share=0.5), trials=trials, shadow=shadow)
    replies = [reply.json() for reply in gather(app, posts(40))]
    assert {said["version"] for said in replies} == {1}
    assert shadow.settle(20)
    seen = len(sink.kept)
    assert 0 < seen < 40
    assert counts(trials) == {"champion": (seen, 0), "challenger": (seen, 0)}
    assert {(one.version, one.role, one.at) for one in sink.kept} == {(2, Role.CHALLENGER, NOW)}
    answered = {said["prediction_id"]: (said["request_id"], said["row_id"]) for said in replies}
    assert {one.id: (one.request, one.row_id) for one in sink.kept}.items() <= answered.items()


def test_a_shadow_that_blocks_delays_no_answer_and_what_finds_no_room_is_counted():
    engine, trials = Blocked(), Trials()
    shadow = Shadow(most=5)
    app = application(served(), challenger("shadow", share=1, engine=engine), trials=trials, shadow=shadow)
    # It is let go only after all have been answered.
    assert [reply.json()["version"] for reply in gather(app, posts(20))] == [1] * 20
    engine.go.set()
    assert shadow.settle(20)
    (trial,) = trials.seen
    asked, _ = counts(trials)["challenger"]
    assert counts(trials) == {"champion": (asked, 0), "challenger": (asked, 0)}
    assert 5 <= asked <= 6
    assert asked + trial.dropped == 20


def test_a_shadow_that_raises_has_failed_and_nobody_notices():
    trials, shadow = Trials(), Shadow()
    app = application(served(), challenger("shadow", share=1, engine=Broken()), trials=trials, shadow=shadow)
    assert {reply.status_code for reply in gather(app, posts(10))} == {200}
    assert shadow.settle(20)
    assert counts(trials) == {"champion": (10, 0), "challenger": (10, 10)}


def test_what_the_champion_fails_at_is_asked_of_its_shadow_too():
    trials, shadow = Trials(), Shadow()
    fatal = replace(served(), engine=Failing(served().engine, 13.0))
    app = application(fatal, challenger("shadow", share=1), trials=trials, shadow=shadow)
    assert ask(app, "POST", "/predict", json=ROW | {"price": 13.0}).status_code == 500
    assert ask(app, "POST", "/predict", json=ROW).status_code == 200
    assert shadow.settle(20)
    assert counts(trials) == {"champion": (2, 1), "challenger": (2, 0)}


def test_a_copy_of_a_small_body_has_the_size_of_the_rows_that_it_unfolds_to():
    table = pa.table({name: pa.array([value] * 100) for name, value in ROW.items()})
    sink, trials = pa.BufferOutputStream(), Trials()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    body = sink.getvalue().to_pybytes()
    app = application(served(), challenger("shadow", share=1), trials=trials, shadow=Shadow(most_bytes=len(body)))
    headers = {"content-type": "application/vnd.apache.arrow.stream"}
    assert ask(app, "POST", "/predict", content=body, headers=headers).status_code == 200
    (trial,) = trials.seen
    assert trial.dropped == 1


def copy_of(trial, challenger, took_ms=1.0):
    """A copy of a request that the champion answered in so many milliseconds."""
    values = dict(zip(ROW, (9.5, 3.0, "plus", 1.0, None, "fragile"), strict=True))
    rows = Rows([tuple(values[column.name] for column in served().columns)], [None])
    return Copy(trial, served(), challenger, rows, lambda: rows, 10, "r-1", NOW, took_ms)


def test_copies_that_wait_when_a_server_ends_are_asked_and_later_ones_are_not():
    shadow, trial = Shadow(), Trial("parcels", DECISION, CanaryRules(kind="shadow"))
    for _ in range(3):
        shadow.put(copy_of(trial, challenger()))
    shadow.close(20)
    shadow.put(copy_of(trial, challenger()))
    assert (trial.challenger.totals.requests, trial.dropped) == (3, 1)


def test_the_latency_of_a_copy_is_that_of_the_answer_with_the_other_model():
    sink = Sink()
    shadow, trial = Shadow(sink), Trial("parcels", DECISION, CanaryRules(kind="shadow"))
    shadow.put(copy_of(trial, challenger(engine=Blocked(free=1)), took_ms=60_000.0))
    assert shadow.settle(20)
    # A minute less the time of the champion's model, and the challenger's.
    (kept,) = sink.kept
    assert kept.latency_ms > 30_000
    assert list(trial.challenger.totals.latencies) == [latency_bucket(kept.latency_ms)]
    assert list(trial.champion.totals.latencies) == [latency_bucket(60_000.0)]


def test_a_trial_is_told_of_in_ready_and_metrics():
    app = application(served(), challenger(engine=Broken(), share=1))

    async def look():
        async with connect(app) as client:
            await client.post("/predict", json=ROW)
            return (await client.get("/ready")).json(), (await client.get("/metrics")).text

    ready, metrics = asyncio.run(look())
    told = ready["models"]["parcels"]
    assert told["challenger"]["version"] == 2
    assert told["trial"] == {
        "decision": DECISION,
        "kind": "split",
        "share": 1.0,
        "champion": {"requests": 0, "errors": 0},
        "challenger": {"requests": 1, "errors": 1},
        "dropped": 0,
    }
    assert 'evergreen_trial_errors_total{arm="challenger",decision="12",model="parcels"} 1.0' in metrics
    assert "trial" not in ask(application(served()), "GET", "/ready").json()["models"]["parcels"]


def test_a_champion_that_is_watched_is_counted_for_the_decision_that_promoted_it():
    trials = Trials()
    trials.watch({("parcels", 1): 7})
    app = application(served(), trials=trials)
    gather(app, posts(3))
    trials.watch({("parcels", 1): 7})
    gather(app, posts(2))
    ((decision, counted),) = trials.watched
    assert (decision, counted.totals.requests) == (7, 5)
    trials.watch({})
    assert trials.watched == ()


def test_totals_are_those_of_every_request():
    trial = Trial("parcels", DECISION, CanaryRules())
    trial.champion.answered(1.0)
    trial.champion.answered(2.0)
    assert trial.champion.failed() == 1
    assert trial.champion.totals == Totals(3, 1, {0: 1, 8: 1})
