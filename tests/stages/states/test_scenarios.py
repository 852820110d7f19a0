"""Sequences that went wrong once, or nearly did."""

from contextlib import suppress
from types import SimpleNamespace

import pytest

from evergreen.cli.attention import _how
from evergreen.errors import UserError
from evergreen.gate.decision import DecisionKind
from evergreen.registry.provenance import TRAINING_KEY
from evergreen.registry.versions import StaleChampion
from evergreen.stages import answer, promote, rollback
from evergreen.stages.settle import settle
from evergreen.store.entry import Cause, Intention
from evergreen.store.pins import Pins
from tests.stages.states.people import crowned, go_back, pinned, promote_next
from tests.stages.states.registry import MODEL, Killed
from tests.stages.states.world import OTHERS


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
    known = SimpleNamespace(model=MODEL, source="", digest="digest 9", tags={TRAINING_KEY: "key"})
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
