"""A challenger from its decision through real requests to the verdict, and what serving makes of that."""

import asyncio
from contextlib import chdir
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from evergreen.gate.decision import DecisionKind
from evergreen.serving.capture import Capture
from evergreen.serving.fetch import fetch
from evergreen.serving.follow import Follower
from evergreen.serving.ids import Ids
from evergreen.serving.load import load_served
from evergreen.serving.loaded import LoadedModels
from evergreen.serving.observer import Observer
from evergreen.serving.service import Dependencies, build_app
from evergreen.serving.shadow import Shadow
from evergreen.serving.trial import Trials
from evergreen.stages.canary import advance_canaries
from evergreen.store.canary import Canaries
from evergreen.store.canary_end import Ended
from evergreen.store.entry import Cause
from evergreen.store.traffic import Traffic
from evergreen.store.traffic_writer import TrafficWriter
from tests.faults.child import smoke_here
from tests.project import SECOND, copy_project
from tests.serving.application import connect

RULES = {
    "share": 0.5,
    "at_least": 100,
    "max_error_increase": 0.3,
    "max_latency_ratio": None,
    "quality": {"metric": "accuracy", "margin": 0.3, "at_least": 50},
}
ASKED = 300


@pytest.fixture(autouse=True)
def _asked_in_this_process(monkeypatch):
    for module in ("rollback", "answer", "promote"):
        monkeypatch.setattr(f"evergreen.stages.{module}.smoke_test", smoke_here)


@pytest.fixture(scope="module", params=["split", "shadow"])
def tried_project(request, crowned_project, tmp_path_factory):
    """Version 2 is on trial beside version 1."""
    project = copy_project(crowned_project, tmp_path_factory.mktemp(f"tried-{request.param}") / "project")
    project.change(promotion={"mode": "canary", "canary": RULES | {"kind": request.param}})
    with chdir(project.folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr("evergreen.drift.report.render", lambda result, *_: result)
        patch.setattr("evergreen.evaluation.plots.draw", lambda *_: [])
        patch.setattr("evergreen.stages.promote.smoke_test", smoke_here)
        assert project.run(SECOND).tried
    return project


@pytest.fixture
def tried(tried_project, tmp_path, addresses):
    project = copy_project(tried_project, tmp_path / "project")
    addresses(project)
    return project


class Broken:
    name, why = "broken", "it is planted"

    def answer(self, rows):
        raise RuntimeError("planted")


class Liar:
    """Says the opposite of what it should."""

    name, why = "liar", "it is planted"

    def __init__(self, engine):
        self.engine = engine

    def answer(self, rows):
        said = self.engine.answer(rows)
        return replace(said, predictions=["no" if one == "yes" else "yes" for one in said.predictions])


class Serving:
    """What `evergreen serve` puts together, without a socket."""

    def __init__(self, project, plant=None):
        self.project, self.plant, self.trials = project, plant, Trials()
        url = project.settings.store_url
        self.capture = Capture(TrafficWriter(url), now)
        self.shadow, self.loaded = Shadow(self.capture), LoadedModels([project.model])
        self.observer = Observer(self.trials, Canaries(url), "here", now)
        self.follower = Follower(
            project.model,
            project.settings,
            self.loaded,
            self.load,
            lambda name: fetch(name, project.settings, now()),
            now,
        )
        self.follower.start()
        dependencies = Dependencies(
            self.loaded, now, Ids(now(), "x"), self.capture, Traffic(url), trials=self.trials, shadow=self.shadow
        )
        self.app = build_app(dependencies)

    def load(self, folder, kept):
        served = load_served(folder, kept)
        if kept.decision is not None and self.plant is not None:
            return replace(served, engine=self.plant(served.engine))
        return served

    def versions(self):
        place = self.loaded.place(self.project.model)
        return place.champion.version, place.challenger and place.challenger.version

    def ask(self, requests=ASKED):
        """Ask about shoppers, tell what became of them, and let everything reach the store; statuses and versions."""
        rows = [{"waited": i % 20 / 5 - 2, "spent": i % 7 / 3 - 1, "plan": "plus"} for i in range(requests)]

        async def talk():
            async with connect(self.app) as client:
                replies = await asyncio.gather(*(client.post("/predict", json=row) for row in rows))
                said = [reply.json()["prediction_id"] for reply in replies]
                await asyncio.to_thread(self.flush)
                labels = [
                    {"prediction_id": name, "label": "yes" if row["waited"] > row["spent"] else "no"}
                    for name, row in zip(said, rows, strict=True)
                ]
                told = await client.post("/feedback", json={"feedback": labels})
                assert {each["outcome"] for each in told.json()["feedback"]} == {"new"}
                return replies

        replies = asyncio.run(talk())
        self.observer.look()
        return {reply.status_code for reply in replies}, {reply.json()["version"] for reply in replies}

    def flush(self):
        assert self.shadow.settle(30)
        assert self.capture.close(30) == 0


def now():
    return datetime.now(UTC)


def verdict(project):
    (entry,) = advance_canaries(project.settings, now())
    (trial,) = Canaries(project.settings.store_url).history()
    return entry, trial


def test_a_challenger_that_answers_well_is_promoted_and_then_serves(tried):
    serving = Serving(tried)
    assert serving.versions() == (1, 2)
    statuses, versions = serving.ask()
    split = Canaries(tried.settings.store_url).open()[0].rules.kind == "split"
    assert (statuses, versions) == ({200}, {1, 2} if split else {1})
    entry, trial = verdict(tried)
    assert (entry.kind, entry.cause, trial.outcome) == (DecisionKind.PROMOTE, Cause.CANARY, Ended.PROMOTED)
    assert serving.follower.look()
    assert serving.versions() == (2, None)
    assert tried.ledger.verify() == ()


def test_one_that_raises_is_rejected_and_nobody_missed_an_answer(tried):
    serving = Serving(tried, plant=lambda engine: Broken())
    assert serving.ask() == ({200}, {1})
    entry, trial = verdict(tried)
    assert (entry.kind, trial.outcome) == (DecisionKind.REJECT, Ended.ROLLED_BACK)
    assert "canary_error_increase" in {check.name for check in entry.checks if check.outcome == "FAIL"}
    assert serving.versions() == (1, 2)
    serving.follower.look()
    assert serving.versions() == (1, None)


def test_one_that_is_wrong_by_what_came_true_is_rejected(tried):
    serving = Serving(tried, Liar)
    assert serving.ask()[0] == {200}
    entry, trial = verdict(tried)
    assert (entry.kind, trial.outcome) == (DecisionKind.REJECT, Ended.ROLLED_BACK)
    assert {check.name for check in entry.checks if check.outcome == "FAIL"} == {"canary_accuracy"}
    serving.follower.look()
    assert serving.versions() == (1, None)
