"""No sequence of runs, answers, rollbacks, pins and crashes leads to a state that the ledger cannot explain.

The store is a real one; the registry is a double in memory. Somebody else may act at any point of anybody's work, but
for what the registry's turn keeps from it: whoever wants the turn while it is taken is refused. Clocks are uneven.
"""

import shutil
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from evergreen.checks import Check, Outcome
from evergreen.cli.attention import _how
from evergreen.errors import PinnedChampion, UnavailableError, UserError
from evergreen.gate.decision import DecisionKind, Reason
from evergreen.gate.judge import decide
from evergreen.registry.handles import Registered
from evergreen.registry.provenance import TRAINING_KEY
from evergreen.registry.versions import StaleChampion, said_of_pin
from evergreen.settings import Settings
from evergreen.stages import answer, pin, promote, rollback
from evergreen.stages.settle import find_stranger, settle
from evergreen.store.entry import Cause, Intention, LedgerEntry
from evergreen.store.ledger import Ledger
from evergreen.store.pins import Pins

MODEL = "churn"
START = datetime(2026, 3, 2, tzinfo=UTC)
WITHIN = timedelta(hours=12)
POINTS = ("before record", "after record", "before alias", "after alias", "before crown", "after crown")
OTHERS = ("settle", "roll back", "promote", "pin for a moment")
REFUSALS = (UserError, StaleChampion, rollback.UnfitVersion, UnavailableError)
GOOD = Check("accuracy", Outcome.PASS, 0.9, "≥ 0.8", "")
kills = st.sampled_from([None, None, *POINTS])
meets = st.none() | st.tuples(st.sampled_from(POINTS), st.sampled_from(OTHERS))
skews = st.sampled_from([0, 0, -90, 90]).map(lambda minutes: timedelta(minutes=minutes))
mostly = st.sampled_from([True, True, True, False])
modes = st.sampled_from(["automatic", "automatic", "approval"])
outcomes = st.sampled_from([Outcome.PASS, Outcome.PASS, Outcome.UNKNOWN, Outcome.FAIL])


class Killed(BaseException):
    """What no stage may catch."""


@dataclass
class Versions:
    """A registry in memory: versions by the digest of what they hold, and aliases."""

    store: str
    strike: object
    digests: list = field(default_factory=list)
    alias: dict = field(default_factory=dict)
    tested: set = field(default_factory=set)
    served: list = field(default_factory=list)
    taken: bool = False

    def register(self, digest):
        if digest not in self.digests:
            self.digests.append(digest)
        number = self.digests.index(digest) + 1
        if self.alias.get("champion") != number:
            self.alias["challenger"] = number
        return Registered(MODEL, number, f"models:/{MODEL}/{number}", digest)

    def version(self, model, number):
        return SimpleNamespace(source=f"models:/{model}/{number}", digest=self.digests[number - 1], tags={})

    def versions(self, model):
        return tuple(range(len(self.digests), 0, -1))

    def aliases(self, model):
        return dict(self.alias)

    def champion_version(self, model):
        return self.alias.get("champion")

    @contextmanager
    def turn(self, model):
        if self.taken:
            raise UnavailableError("held by another process for over 120 s")
        self.taken = True
        try:
            yield
        finally:
            self.taken = False

    def release(self, model, digest):
        number = self.alias.get("challenger")
        if number is None or self.digests[number - 1] != digest:
            return False
        del self.alias["challenger"]
        return True

    def promote(self, model, version, expected_champion, *, despite_pin=False, fence=None):
        assert self.taken, "nobody moves the alias without the turn"
        self.strike("before alias")
        if self.alias.get("champion") != version:
            known = fence is None or Ledger(self.store).fence(model) == fence
            if self.alias.get("champion") != expected_champion or not known:
                raise StaleChampion("run again")
            if not despite_pin and (said := said_of_pin(self.store, model)):
                raise PinnedChampion(said)
            self.alias["champion"] = version
            self.served.append(version)
        if self.alias.get("challenger") == version:
            del self.alias["challenger"]
        self.strike("after alias")


class People(RuleBasedStateMachine):
    """One model, its runs and its people."""

    template: Path

    @initialize(crowned=mostly)
    def begin(self, crowned):
        self.folder = Path(tempfile.mkdtemp(prefix="evergreen-machine-"))
        shutil.copy(self.template, self.folder / "evergreen.db")
        home = Settings.from_environment({"EVERGREEN_HOME": str(self.folder)})
        # Nothing here asks MLflow: what would, finds nobody.
        self.home = replace(home, tracking_uri="http://127.0.0.1:9")
        self.ledger, self.now = Ledger(home.store_url), START
        self.registry = Versions(home.store_url, self.strike)
        self.deadly, self.met, self.sound, self.runs, self.trained, self.kept = None, None, True, [], 0, None
        self.patch = pytest.MonkeyPatch()
        for stage in (answer, rollback):
            self.patch.setattr(stage, "connect", lambda home: (None, self.ledger))
            self.patch.setattr(stage, "smoke_test", self.smoke_test)
        for stage in (answer, rollback, promote, pin):
            self.patch.setattr(stage, "registry_of", lambda home: self.registry)
        self.patch.setattr(answer, "register_held", lambda held, *_: self.registry.register(held.model_digest))
        for name in ("record", "crown"):
            self.patch.setattr(Ledger, name, self.mortal(name, getattr(Ledger, name)))
        if crowned:
            self.start_run(mode="automatic", checks=[])
            self.finish_run(kill=None, which=0, sound=True, pinned=False)

    def teardown(self):
        if hasattr(self, "patch"):
            self.patch.undo()
            shutil.rmtree(self.folder)

    def strike(self, point):
        if point == self.deadly:
            self.deadly = None
            raise Killed
        if self.met and self.met[0] == point:
            (_, other), self.met = self.met, None
            self.act(other)

    def act(self, other):
        """What somebody else does in the middle of it; refused where the registry's turn is taken."""
        with suppress(*REFUSALS):
            match other:
                case "settle":
                    settle(self.ledger, self.registry, MODEL, self.now)
                case "roll back":
                    rollback.rollback(MODEL, rollback.Target(), "tom", "odd", self.home, self.now)
                    self.kept = self.champion
                case "promote":
                    self.start_run(mode="automatic", checks=[])
                    digest, before, fence, decision = self.runs.pop()
                    self.write(digest, before, fence, decision)
                case "pin for a moment" if not Pins(self.home.store_url).pinned(MODEL):
                    Pins(self.home.store_url).pin(MODEL, "tom", "moment", self.now)
                    try:
                        settle(self.ledger, self.registry, MODEL, self.now)
                    finally:
                        Pins(self.home.store_url).unpin(MODEL, "tom", "over", self.now)

    def mortal(self, name, method):
        def wrapped(ledger, *arguments):
            self.strike(f"before {name}")
            result = method(ledger, *arguments)
            self.strike(f"after {name}")
            return result

        return wrapped

    def smoke_test(self, tracking, uri, digest):
        if self.sound:
            self.registry.tested.add(digest)
        return Check("smoke_test", Outcome.PASS if self.sound else Outcome.FAIL, 0.0, "≤ 0", "")

    @contextmanager
    def mortally(self, kill, met=None):
        """A step that may be killed at a point, or meet somebody at one, or be refused, and takes an hour."""
        self.now += timedelta(hours=1)
        self.deadly, self.met = kill, met
        try:
            yield
        except (Killed, *REFUSALS):
            pass
        finally:
            self.deadly = self.met = None

    @property
    def champion(self):
        return self.registry.champion_version(MODEL)

    @rule(mode=modes, checks=st.lists(outcomes, max_size=1))
    def start_run(self, mode, checks):
        """A run reads the champion, trains and judges; others may act before it writes."""
        settle(self.ledger, self.registry, MODEL, self.now)
        self.trained += 1
        judged = [GOOD, *(replace(GOOD, outcome=outcome) for outcome in checks)]
        decision = decide(judged, mode, pinned=said_of_pin(self.home.store_url, MODEL))
        before, fence = self.champion, self.ledger.fence(MODEL)
        self.runs.append((f"digest {self.trained}", before, fence, decision))

    @precondition(lambda self: self.runs)
    @rule(kill=kills, met=meets, which=st.integers(0, 3), sound=mostly, pinned=st.booleans(), skew=skews)
    def finish_run(self, kill, which, sound, pinned, met=None, skew=timedelta(0)):
        """Registered, smoke-tested, recorded, promoted; if it is killed, a person may pin before anybody tidies up."""
        self.sound = sound
        with self.mortally(kill, met):
            self.write(*self.runs.pop(which % len(self.runs)), skew)
        if kill and pinned and self.ledger.history(MODEL):
            self.set_pin()

    def write(self, digest, before, fence, decision, skew=timedelta(0)):
        entry = self.record(digest, before, fence, decision, skew)
        promote.promote(entry, self.home, self.now + skew)

    def record(self, digest, before, fence, decision, skew=timedelta(0)):
        version, now = None, self.now + skew
        if all(check.passed for check in decision.checks):
            version = self.registry.register(digest).version
            decision = promote._with_smoke(decision, self.smoke_test(None, "", digest))
        promoted = decision.kind is DecisionKind.PROMOTE
        entry = LedgerEntry(
            MODEL, decision.kind, decision.reasons, decision.checks, Reason.SCHEDULED, now, now, "evergreen",
            training_key=digest, mlflow_run=digest, model_digest=digest, version=version,
            champion_before=before, champion_after=version if promoted else before, fence=fence,
        )  # fmt: skip
        return self.ledger.record(entry)

    @rule(kill=st.sampled_from(POINTS))
    def die_and_be_pinned(self, kill):
        """A run is killed on its way to production, and a person pins before the next one comes."""
        self.start_run(mode="automatic", checks=[])
        self.finish_run(kill=kill, which=len(self.runs) - 1, sound=True, pinned=True)
        self.reconcile()

    @rule(kill=kills, met=meets, which=st.integers(1, 12), by=st.sampled_from(["eva", "tom"]), sound=mostly, skew=skews)
    def approve(self, kill, met, which, by, sound, skew):
        self.sound = sound
        with self.mortally(kill, met):
            answer.approve(self.some_decision(which), by, "fine", self.home, self.now + skew)

    @rule(kill=kills, which=st.integers(1, 12), by=st.sampled_from(["eva", "tom"]))
    def reject(self, kill, which, by):
        with self.mortally(kill):
            answer.reject(self.some_decision(which), by, "no", self.home, self.now)

    def some_decision(self, which):
        """One that waits, where there is one: else most answers would be refused."""
        waiting = self.ledger.pending(MODEL)
        return waiting[-1].id if waiting and which % 4 else which

    @rule(kill=kills)
    def expire(self, kill):
        with self.mortally(kill):
            answer.expire(self.home, self.now, {MODEL: WITHIN})

    @rule(
        kill=kills,
        met=meets,
        to=st.none() | st.integers(1, 4),
        pinned=st.booleans(),
        sound=mostly,
        why=st.sampled_from("ab"),
        skew=skews,
    )
    def roll_back(self, kill, met, to, pinned, sound, why, skew):
        self.sound = sound
        was = Pins(self.home.store_url).pinned(MODEL)
        done = None
        with self.mortally(kill, met):
            done = rollback.rollback(MODEL, rollback.Target(to, pin=pinned), "eva", why, self.home, self.now + skew)
        if pinned and done and met is None:
            assert Pins(self.home.store_url).pinned(MODEL)
        if was or Pins(self.home.store_url).pinned(MODEL):
            # A rollback that was cut short is finished later, pinned or not.
            settle(self.ledger, self.registry, MODEL, self.now)
            self.kept = self.champion

    @precondition(lambda self: self.ledger.history(MODEL))
    @rule()
    def set_pin(self):
        pin.pin(MODEL, "eva", "audit", self.home, self.now)
        if any(entry.cause is Cause.ROLLBACK for entry in self.ledger.unfinished(MODEL)):
            # Decided on by a person before: a pin does not keep it from being finished.
            settle(self.ledger, self.registry, MODEL, self.now)
        self.kept = self.champion

    @precondition(lambda self: Pins(self.home.store_url).pinned(MODEL))
    @rule()
    def take_off_pin(self):
        pin.unpin(MODEL, "eva", "done", self.home, self.now)

    @rule()
    def reconcile(self):
        settle(self.ledger, self.registry, MODEL, self.now)
        assert settle(self.ledger, self.registry, MODEL, self.now) == []
        assert self.ledger.unfinished(MODEL) == ()
        crowned = [crown.version for crown in self.ledger.history(MODEL)]
        assert crowned[-1:] == [self.champion][: len(crowned)]
        assert changes(crowned) == changes(self.registry.served), "no reign is lost, none out of its order"

    @invariant()
    def what_was_withdrawn_is_so_once_and_never_took_effect(self):
        if not hasattr(self, "ledger"):
            return
        withdrawn = [e.reasons[0] for e in self.ledger.entries(MODEL, 1000) if e.cause is Cause.RECONCILE]
        numbers = [reason.split()[1] for reason in withdrawn if reason.startswith("decision")]
        assert len(numbers) == len(set(numbers))
        assert not set(numbers) & {str(crown.decision_id) for crown in self.ledger.history(MODEL)}

    @invariant()
    def the_champion_of_tomorrow_is_the_last_that_was_crowned_and_time_runs_forward(self):
        if hasattr(self, "ledger") and (crowns := self.ledger.history(MODEL)):
            assert self.ledger.champion_at(MODEL, self.now + timedelta(days=1))[0] == crowns[-1].version
            assert [crown.at for crown in crowns] == sorted(crown.at for crown in crowns)

    @invariant()
    def the_ledger_explains_the_champion(self):
        if hasattr(self, "ledger"):
            assert find_stranger(self.ledger, self.registry, MODEL) == ""

    @invariant()
    def every_champion_was_registered_and_tested_and_crowned_once_by_its_decision(self):
        if not hasattr(self, "ledger"):
            return
        crowns = self.ledger.history(MODEL)
        assert len({crown.decision_id for crown in crowns}) == len(crowns)
        for crown in crowns:
            decision = self.ledger.entry(crown.decision_id)
            assert (decision.kind, decision.champion_after) == (DecisionKind.PROMOTE, crown.version)
        served = {crown.version for crown in crowns} | ({self.champion} - {None})
        assert {self.registry.digests[version - 1] for version in served} <= self.registry.tested

    @invariant()
    def a_decision_is_answered_once_and_waits_only_until_then(self):
        if not hasattr(self, "ledger"):
            return
        answers = [e.resolves for e in self.ledger.entries(MODEL, 1000) if e.resolves is not None]
        assert len(answers) == len(set(answers))
        waiting = self.ledger.pending(MODEL)
        assert len(waiting) <= 1
        assert not {entry.id for entry in waiting} & set(answers)
        assert all(entry.cause in (Cause.RUN, Cause.RECONCILE) for entry in waiting)

    @invariant()
    def nobody_moves_a_pinned_champion(self):
        if hasattr(self, "ledger") and Pins(self.home.store_url).pinned(MODEL):
            assert self.champion == self.kept


def changes(versions):
    """Without repetitions of the one before."""
    return [version for before, version in zip([None, *versions], versions, strict=False) if version != before]


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A prepared store, to be copied."""
    file = tmp_path_factory.mktemp("template") / "evergreen.db"
    store = Ledger(f"sqlite:///{file}")
    store.prepare()
    with store._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    People.template = file


def test_no_sequence_of_events_leads_where_the_ledger_cannot_follow(template):
    bounds = settings(
        max_examples=30,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    run_state_machine_as_test(People, settings=bounds)


@pytest.fixture
def people(template):
    """A model whose champion is version 2, which followed version 1."""
    machine = People()
    machine.begin(crowned=True)
    promote_next(machine)
    assert machine.champion == 2
    yield machine
    machine.teardown()


def promote_next(machine, **how):
    machine.start_run(mode="automatic", checks=[])
    machine.finish_run(kill=None, which=len(machine.runs) - 1, sound=True, pinned=False, **how)


def pinned(machine):
    return Pins(machine.home.store_url).pinned(MODEL)


def crowned(machine):
    return [crown.version for crown in machine.ledger.history(MODEL)]


def go_back(machine, hours=0, **target):
    now = machine.now + timedelta(hours=hours)
    return rollback.rollback(MODEL, rollback.Target(**target), "eva", "bad", machine.home, now)


def test_a_rollback_that_is_repeated_with_a_pin_is_the_same_one_and_pins(people):
    first = go_back(people)
    assert go_back(people, hours=1, pin=True) == first
    assert (pinned(people).by, pinned(people).why) == ("eva", "bad")
    assert go_back(people, hours=2, pin=True) == first
    assert len(Pins(people.home.store_url).history(MODEL)) == 1


def test_a_rollback_to_a_moment_is_the_same_one_when_it_is_repeated(people):
    first, _ = people.ledger.history(MODEL)
    assert go_back(people, at=first.at) == go_back(people, at=first.at, hours=1)


@pytest.mark.parametrize("point", ["before alias", "after alias", "before crown", "after crown"])
@pytest.mark.parametrize("other", OTHERS)
def test_nobody_comes_between_a_promotion_and_its_place_in_the_history(people, point, other):
    promote_next(people, met=(point, other))
    assert crowned(people) == people.registry.served == [1, 2, 3]
    people.reconcile()


def test_a_promotion_that_a_rollback_overtakes_has_no_effect_and_no_second_row(people):
    people.start_run(mode="automatic", checks=[])
    recorded = []
    people.met = ("before record", "a run")
    people.act = lambda other: recorded.append(people.record(*people.runs.pop()))
    go_back(people)
    with pytest.raises(StaleChampion, match="a later one took effect"):
        promote.promote(recorded[0], people.home, people.now)
    assert crowned(people) == people.registry.served == [1, 2, 1]
    assert [e.kind for e in people.ledger.entries(MODEL)] == [DecisionKind.PROMOTE] * 4
    people.reconcile()


def test_what_another_has_finished_meanwhile_is_not_done_again(people):
    promote_next(people, met=("after record", "settle"))
    assert crowned(people) == people.registry.served == [1, 2, 3]
    assert [e.kind for e in people.ledger.entries(MODEL)] == [DecisionKind.PROMOTE] * 3


def test_what_another_has_withdrawn_is_not_revived(people):
    promote_next(people, met=("after record", "pin for a moment"))
    assert pinned(people) is None
    assert crowned(people) == people.registry.served == [1, 2]
    assert [e.cause for e in people.ledger.entries(MODEL)].count(Cause.RECONCILE) == 1
    people.what_was_withdrawn_is_so_once_and_never_took_effect()


@pytest.mark.parametrize("before", [True, False])
def test_a_rollback_that_is_overtaken_leaves_the_pin_as_it_was(people, before):
    if before:
        Pins(people.home.store_url).pin(MODEL, "tom", "audit", people.now)
    people.met = ("before record", "settle")
    people.act = lambda other: people.registry.alias.update(champion=3)
    people.registry.register("digest 9")
    with pytest.raises(StaleChampion, match="roll back again"):
        go_back(people, pin=True)
    found = pinned(people)
    assert (found and found.by) == ("tom" if before else None)


def test_a_person_leaves_the_challenger_of_a_run_at_work_alone(people):
    intention = Intention(MODEL, "key", "run", "digest 9", 2, people.ledger.fence(MODEL), people.now)
    people.ledger.intend(intention)
    people.registry.register("digest 9")
    known = SimpleNamespace(source="", digest="digest 9", tags={TRAINING_KEY: "key"})
    people.registry.version = lambda model, number: known
    with pytest.raises(UserError, match="waits for nobody"):
        answer.approve(1, "eva", "fine", people.home, people.now)
    assert people.registry.alias["challenger"] == 3
    (line,) = settle(people.ledger, people.registry, MODEL, people.now)
    assert "version 3 of churn is no challenger" in line


def test_status_recommends_no_approval_that_would_be_refused(people):
    people.start_run(mode="approval", checks=[])
    people.finish_run(kill=None, which=0, sound=True, pinned=False)
    (held,) = people.ledger.pending(MODEL)
    assert "evergreen approve" in _how(held, people.ledger)
    go_back(people)
    go_back(people, version=2)
    assert people.champion == held.champion_before
    assert "the champion has changed since" in _how(held, people.ledger)
    with pytest.raises(StaleChampion, match="and back"):
        answer.approve(held.id, "eva", "fine", people.home, people.now)


def test_the_reign_of_a_champion_whose_run_died_before_the_history_is_not_lost(people):
    people.start_run(mode="automatic", checks=[])

    def die_after_the_alias(*_, **__):
        people.deadly = "before crown"
        with suppress(Killed):
            people.write(*people.runs.pop())
        return []

    people.patch.setattr(rollback, "settle", die_after_the_alias)
    with pytest.raises(StaleChampion):
        go_back(people, version=1)
    assert crowned(people) == people.registry.served == [1, 2, 3]
