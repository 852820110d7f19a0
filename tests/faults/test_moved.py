"""Somebody moves or deletes the alias by hand, in the middle of whatever Evergreen does, on both databases.

Whatever was under way is withdrawn or takes effect, and never both. Then the alias is adopted or put back, and ledger,
registry and artifacts agree.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from evergreen.gate.decision import DecisionKind
from evergreen.registry.versions import StaleChampion
from evergreen.stages import moved_answer
from evergreen.stages.audit import audit
from evergreen.stages.open import connect, registry_of, tracking_of
from evergreen.stages.promote import promote
from evergreen.stages.settle import settle
from evergreen.store.entry import Cause
from evergreen.store.ledger import Ledger
from tests.faults.child import Place, smoke_here

pytestmark = pytest.mark.slow

NOW = datetime(2026, 6, 1, tzinfo=UTC)
FORMER, DELETED = "to the former champion", "deleted"


@dataclass(frozen=True)
class Scene:
    """A model with two champions of its past, and somebody who has MLflow open."""

    place: Place

    @property
    def ledger(self):
        return Ledger(self.place.settings.store_url)

    @property
    def registry(self):
        return registry_of(self.place.settings)

    @property
    def client(self):
        return tracking_of(self.place.settings).client

    @property
    def served(self):
        return self.registry.champion_version(self.place.model)

    @property
    def crowned(self):
        return [crown.version for crown in self.ledger.history(self.place.model)]

    def measure(self):
        """The champion that a challenger is measured against."""
        return self.served, self.ledger.fence(self.place.model)

    def decide(self, measured):
        """Register the champion's artifact as one version more, and decide to promote it."""
        model = self.place.model
        known = self.client.get_model_version(model, "1")
        made = self.client.create_model_version(model, known.source, run_id=known.run_id, tags=known.tags)
        version, (before, fence) = int(made.version), measured
        first = self.ledger.about(model, 1)[-1]
        entry = replace(first, id=None, version=version, champion_before=before, champion_after=version, fence=fence)
        return self.ledger.record(replace(entry, intention=None, training_key=None, mlflow_run=None))

    def promote(self, entry):
        promote(entry, self.place.settings, NOW)

    def interfere(self, how):
        if how == DELETED:
            self.client.delete_registered_model_alias(self.place.model, "champion")
        else:
            former = [version for version in self.crowned if version != self.crowned[-1]][-1]
            self.client.set_registered_model_alias(self.place.model, "champion", str(former))

    def settle(self, policy):
        return settle(self.ledger, self.registry, self.place.model, NOW, policy=policy)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def scene(request, crowned_project, copied, tmp_path_factory):
    """The same one for every fault, as it goes on well after each. In the end everything is audited."""
    project = copied(crowned_project, tmp_path_factory.mktemp("moved") / "project")
    scene = Scene(Place(project.folder))
    if request.param == "postgresql":
        scene = Scene(Place(project.folder, store=request.getfixturevalue("cluster").create_database()))
        begin_again(project.ledger, scene.ledger)
    connect(scene.place.settings)
    scene.promote(scene.decide(scene.measure()))
    assert scene.crowned == [1, 2]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moved_answer, "smoke_test", smoke_here)
        yield scene
    assert [problem.what for problem in audit(scene.place.settings).problems] == []


def begin_again(known, ledger):
    """The first champion of one ledger in another."""
    ledger.prepare()
    (entry,), (crown,) = known.entries("tiny"), known.history("tiny")
    written = ledger.record(replace(entry, id=None, intention=None))
    ledger.crown(written.id, crown.model, crown.version, crown.at)


@pytest.fixture(params=[(FORMER, "adopt"), (FORMER, "restore"), (DELETED, "adopt")], ids="-".join)
def answered(request, scene, tally):
    """What somebody does, and what the spec says about it. Afterwards the next promotion takes effect."""
    rows = len(scene.ledger.entries(scene.place.model, 10_000))
    yield request.param
    try:
        ends_well(scene, rows)
    except BaseException:
        tally("alias moved by hand", "lost")
        raise
    tally("alias moved by hand", "survived")


def ends_well(scene, rows):
    assert scene.settle("report") == []
    assert scene.served == scene.crowned[-1]
    assert scene.ledger.verify() == ()
    assert len(scene.ledger.entries(scene.place.model, 10_000)) > rows, "whatever was done is a decision"
    entry = scene.decide(scene.measure())
    scene.promote(entry)
    assert scene.served == scene.crowned[-1] == entry.version


def expected(how, policy, known, former):
    return former if (how, policy) == (FORMER, "adopt") else known


def the_other(scene):
    known = scene.crowned[-1]
    return known, [version for version in scene.crowned if version != known][-1]


def test_between_a_decision_and_its_effect(scene, answered):
    how, policy = answered
    known, former = the_other(scene)
    entry = scene.decide(scene.measure())
    scene.interfere(how)
    with pytest.raises(StaleChampion):
        scene.promote(entry)
    scene.settle(policy)
    assert scene.served == expected(how, policy, known, former)
    assert entry.id not in [crown.decision_id for crown in scene.ledger.history(scene.place.model)]


def test_between_measuring_and_deciding(scene, answered):
    how, policy = answered
    known, former = the_other(scene)
    measured = scene.measure()
    scene.interfere(how)
    scene.settle(policy)
    with pytest.raises(StaleChampion):
        scene.promote(scene.decide(measured))
    assert scene.served == expected(how, policy, known, former)
    newest = scene.ledger.entries(scene.place.model)[0]
    assert (newest.kind, newest.cause) == (DecisionKind.HOLD, Cause.RECONCILE)


def test_right_after_the_alias_was_set(scene, answered, monkeypatch):
    how, policy = answered
    known, former = the_other(scene)
    entry = scene.decide(scene.measure())
    registry, cls = scene.registry, type(scene.client)
    original = cls.set_registered_model_alias

    def set_and_be_overruled(client, model, alias, version):
        original(client, model, alias, version)
        if alias == "champion":
            monkeypatch.undo()
            scene.interfere(how)

    monkeypatch.setattr(cls, "set_registered_model_alias", set_and_be_overruled)
    with pytest.raises(StaleChampion):
        scene.promote(entry)
    assert registry.champion_version(scene.place.model) == (None if how == DELETED else former)
    scene.settle(policy)
    assert scene.served == expected(how, policy, known, former)
    assert entry.id not in [crown.decision_id for crown in scene.ledger.history(scene.place.model)]


def test_once_more_before_the_answer_has_its_effect(scene, answered, monkeypatch):
    how, policy = answered
    known, _ = the_other(scene)
    scene.interfere(FORMER)
    original = Ledger.record

    def record_and_be_overruled(ledger, entry):
        written = original(ledger, entry)
        monkeypatch.undo()
        scene.client.set_registered_model_alias(scene.place.model, "champion", str(known))
        if how == DELETED:
            scene.interfere(DELETED)
        return written

    monkeypatch.setattr(Ledger, "record", record_and_be_overruled)
    scene.settle(policy)
    scene.settle(policy)
    assert scene.served == known
