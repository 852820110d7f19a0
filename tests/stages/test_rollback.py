"""Back to an earlier champion: what may be gone back to, what stands in the ledger, what a kill leaves."""

from contextlib import chdir
from datetime import UTC, datetime

import pytest

from evergreen.errors import PinnedChampion, StaleChampion, UserError
from evergreen.gate.decision import DecisionKind, Reason
from evergreen.stages import rollback as stage
from evergreen.stages.open import open_run
from evergreen.stages.pin import pin, unpin
from evergreen.stages.rollback import Target, UnfitVersion, rollback
from evergreen.stages.run import Origin, Request
from evergreen.store.entry import Cause
from evergreen.store.facts import FactKind
from evergreen.store.outbox import Outbox
from evergreen.store.pins import Pins
from evergreen.store.pruned import Kind, Pruned, PrunedLog

NOW = datetime(2036, 5, 2, 9, tzinfo=UTC)


class Killed(BaseException):
    """What no stage may catch."""


def dies(*arguments, **options):
    raise Killed


@pytest.fixture(scope="session")
def twice_crowned_project(crowned_project, copied, second_moment, tmp_path_factory):
    project = copied(crowned_project, tmp_path_factory.mktemp("twice") / "project")
    with chdir(project.folder):
        assert project.run(second_moment).champion == 2
    return project


@pytest.fixture
def two(twice_crowned_project, copied, addresses, tmp_path):
    """A project with champion version 2, which followed version 1."""
    project = copied(twice_crowned_project, tmp_path / "project")
    addresses(project)
    return project


def go_back(project, target=None, by="eva", why="late labels"):
    return rollback(project.model, target or Target(), by, why, project.settings, NOW)


def test_the_champion_before_is_champion_again_by_one_decision(two):
    first = two.ledger.entry(1)
    entry = go_back(two)
    assert (entry.kind, entry.cause, entry.reason) == (DecisionKind.PROMOTE, Cause.ROLLBACK, Reason.MANUAL)
    assert (entry.version, entry.champion_before, entry.champion_after) == (1, 2, 1)
    assert (entry.decided_by, entry.reasons) == ("eva", ("rolled back to version 1 by eva: late labels",))
    assert (entry.model_digest, entry.snapshot, entry.training_key) == (first.model_digest, first.snapshot, None)
    assert [check.name for check in entry.checks] == ["smoke_test"]
    assert two.champion() == 1
    assert [(crown.version, crown.decision_id) for crown in two.ledger.history(two.model)][-1] == (1, entry.id)
    assert two.decisions() == ["PROMOTE", "PROMOTE", "PROMOTE"]
    assert Outbox(two.settings.store_url).known(f"decision:{entry.id}").kind is FactKind.ROLLED_BACK


def test_a_moment_names_the_champion_it_had(two):
    first, second = two.ledger.history(two.model)
    assert go_back(two, Target(at=first.at)).version == 1
    assert go_back(two, Target(at=second.at), why="it was fine").version == 2
    with pytest.raises(UserError, match="no champion at 2020-01-01"):
        go_back(two, Target(at=datetime(2020, 1, 1, tzinfo=UTC)))


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (Target(2), "version 2 is champion of tiny already"),
        (Target(7), "version 7 of tiny was never champion; these were: 1, 2"),
        (Target(1, NOW), "not both"),
    ],
)
def test_a_target_that_is_none_is_refused_and_nothing_happens(two, target, says):
    state = two.state()
    with pytest.raises(UserError, match=says):
        go_back(two, target)
    assert two.state() == state


def test_a_model_without_an_earlier_champion_has_nowhere_to_go(crowned):
    with pytest.raises(UserError, match="no champion before version 1"):
        go_back(crowned)
    with pytest.raises(UserError, match="never had a champion"):
        rollback("other", Target(), "eva", "why not", crowned.settings, NOW)
    with pytest.raises(UserError, match="--why"):
        go_back(crowned, why=" ")


def test_a_version_that_was_registered_and_never_champion_is_no_target(two, second_moment, week):
    two.change(promotion={"mode": "approval"})
    assert two.run(second_moment + week).evidence.registered.version == 3
    with pytest.raises(UserError, match="version 3 of tiny was never champion"):
        go_back(two, Target(3))


def test_a_version_that_does_not_answer_any_more_is_no_target(two):
    folder = two.registry.tracking.client.get_model_version_download_uri(two.model, "1")
    with open(f"{folder}/expected.json", "a") as file:
        file.write(" ")
    state = two.state()
    with pytest.raises(UnfitVersion, match="smoke_test FAIL"):
        go_back(two, Target(pin=True))
    assert two.state() == state
    assert Pins(two.settings.store_url).pinned(two.model) is None


STEPS = {
    "before the smoke test": "evergreen.stages.rollback.smoke_test",
    "before the ledger": "evergreen.stages.rollback._entry",
    "before the alias": "evergreen.registry.versions.Registry.promote",
    "before the history": "evergreen.store.ledger.Ledger.crown",
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("finisher", ["the person", "the next run"])
def test_a_rollback_that_dies_takes_effect_once_or_not_at_all(two, second_moment, step, finisher, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(STEPS[step], dies)
        with pytest.raises(Killed):
            go_back(two)
    decided = step in ("before the alias", "before the history")
    if finisher == "the person":
        entry = go_back(two)
        assert entry == go_back(two), "asked again it is the same rollback, not one further back"
    else:
        open_run(Request(two.model, second_moment, Reason.MANUAL), Origin("tester"), two.settings, NOW)
    back = decided or finisher == "the person"
    assert two.champion() == (1 if back else 2)
    assert [crown.version for crown in two.ledger.history(two.model)] == ([1, 2, 1] if back else [1, 2])


def test_a_rollback_that_somebody_overtakes_is_withdrawn(two, monkeypatch):
    def overtake(*arguments):
        two.registry.tracking.client.delete_registered_model_alias(two.model, "champion")
        return stage_entry(*arguments)

    stage_entry = stage._entry
    monkeypatch.setattr(stage, "_entry", overtake)
    with pytest.raises(StaleChampion, match="roll back again"):
        go_back(two)
    newest = two.ledger.entries(two.model)[0]
    assert (newest.kind, newest.cause) == (DecisionKind.HOLD, Cause.RECONCILE)
    assert two.ledger.pending(two.model) == (), "a withdrawn rollback is nothing to approve"


def note_pruned(project, number):
    item = Pruned(Kind.VERSION, project.model, str(number), "old", "tom", NOW)
    assert PrunedLog(project.settings.store_url).note(item)


@pytest.mark.parametrize("finisher", ["the person", "the next run"])
def test_a_rollback_to_what_was_pruned_meanwhile_is_withdrawn_and_blocks_nobody(
    two, second_moment, finisher, monkeypatch
):
    # Pruning died between its note and the deletion; the rollback, which had tested the version, before the alias.
    with monkeypatch.context() as patch:
        patch.setattr(STEPS["before the alias"], dies)
        with pytest.raises(Killed):
            go_back(two)
    note_pruned(two, 1)
    if finisher == "the person":
        with pytest.raises(UserError, match="version 1 of tiny was pruned on 2036-05-02 by tom: old"):
            go_back(two)
    for _ in range(2):
        run = open_run(Request(two.model, second_moment, Reason.MANUAL), Origin("tester"), two.settings, NOW)
        assert run.champion.version == two.champion() == 2
    newest = two.ledger.entries(two.model)[0]
    assert (newest.kind, newest.cause, two.ledger.unfinished(two.model)) == (DecisionKind.HOLD, Cause.RECONCILE, ())
    assert "was pruned on" in newest.reasons[0]
    assert len(two.ledger.entries(two.model)) == 4, "it is withdrawn once"


def test_a_rollback_whose_target_is_pruned_meanwhile_says_so(two, monkeypatch):
    def prune(*arguments):
        note_pruned(two, 1)
        return stage_entry(*arguments)

    stage_entry = stage._entry
    monkeypatch.setattr(stage, "_entry", prune)
    with pytest.raises(StaleChampion, match="the rollback is withdrawn: version 1 of tiny was pruned on 2036-05-02"):
        go_back(two, Target(pin=True))
    assert two.champion() == 2
    assert Pins(two.settings.store_url).pinned(two.model) is None
    assert two.ledger.entries(two.model)[0].cause is Cause.RECONCILE


def test_the_one_before_is_before_the_champion_that_the_person_saw(crowned, second_moment):
    def die(name):
        if name == "promote":
            raise Killed

    with pytest.raises(Killed):
        crowned.run(second_moment, at=die)
    with pytest.raises(UserError, match="version 2 became champion just now"):
        go_back(crowned)
    assert crowned.champion() == 2
    assert go_back(crowned, Target(1)).version == 1


def test_what_was_rolled_back_does_not_return_by_its_twin(two, second_moment):
    go_back(two)
    again = two.run(second_moment)
    assert again.evidence.decision.kind is DecisionKind.SKIP
    assert "version 2, which was rolled back to version 1 by eva: late labels" in again.evidence.decision.reasons[0]
    assert two.champion() == 1


def test_an_alias_that_was_moved_by_hand_is_reported_and_put_back(two, second_moment, caplog):
    two.registry.tracking.client.set_registered_model_alias(two.model, "champion", "1")
    open_run(Request(two.model, second_moment, Reason.MANUAL), Origin("tester"), two.settings, NOW)
    assert "points at version 1, but the ledger knows of version 2: somebody moved it by hand" in caplog.text
    entry = go_back(two)
    assert (entry.champion_before, entry.champion_after, two.champion()) == (1, 2, 2)


def test_a_pin_keeps_the_champion_and_the_challenger_waits(crowned, second_moment):
    pin(crowned.model, "tom", "audit", crowned.settings, NOW)
    conclusion = crowned.run(second_moment)
    (reason,) = conclusion.evidence.decision.reasons
    assert conclusion.evidence.decision.kind is DecisionKind.HOLD
    assert "champion is pinned by tom since" in reason
    assert reason.endswith(": audit")
    assert conclusion.evidence.registered.version == 2
    assert crowned.champion() == 1
    assert [held.version for held in crowned.ledger.pending(crowned.model)] == [2]


def test_a_pin_that_is_set_during_a_run_stops_its_promotion(crowned, second_moment):
    def set_pin(name):
        if name == "promote":
            pin(crowned.model, "tom", "audit", crowned.settings, NOW)

    with pytest.raises(PinnedChampion, match="pinned by tom"):
        crowned.run(second_moment, at=set_pin)
    assert crowned.champion() == 1
    newest = crowned.ledger.entries(crowned.model)[0]
    assert (newest.kind, newest.cause) == (DecisionKind.HOLD, Cause.RECONCILE)
    unpin(crowned.model, "tom", "done", crowned.settings, NOW)
    assert crowned.run(second_moment).champion == 2


def test_a_promotion_that_was_cut_short_does_not_pass_a_pin(crowned, second_moment):
    def die(name):
        if name == "promote":
            raise Killed

    with pytest.raises(Killed):
        crowned.run(second_moment, at=die)
    pin(crowned.model, "tom", "audit", crowned.settings, NOW)
    run = open_run(Request(crowned.model, second_moment, Reason.MANUAL), Origin("tester"), crowned.settings, NOW)
    assert run.champion.version == 1
    assert "pinned by tom" in crowned.ledger.entries(crowned.model)[0].reasons[0]


def test_a_rollback_may_pin_and_passes_a_pin(two):
    assert go_back(two, Target(pin=True)).version == 1
    found = Pins(two.settings.store_url).pinned(two.model)
    assert (found.by, found.why) == ("eva", "late labels")
    assert go_back(two, Target(2), why="labels came").version == 2


def test_pins_are_taken_off_by_those_who_say_why(two):
    with pytest.raises(UserError, match="not pinned"):
        unpin(two.model, "eva", "done", two.settings, NOW)
    with pytest.raises(UserError, match="no champion that could be pinned"):
        pin("other", "eva", "audit", two.settings, NOW)
    pin(two.model, "eva", "audit", two.settings, NOW)
    with pytest.raises(UserError, match="--why"):
        unpin(two.model, "eva", "", two.settings, NOW)
    assert unpin(two.model, "tom", "done", two.settings, replace_hour(NOW)).by == "eva"
    assert Pins(two.settings.store_url).pinned(two.model) is None


def replace_hour(moment):
    return moment.replace(hour=moment.hour + 1)
