"""People answer what was held, or nobody does: one answer a decision, and the champion changes by an approval only."""

from contextlib import chdir
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from evergreen.errors import IntegrityError, PinnedChampion, UserError
from evergreen.gate.decision import DecisionKind, Reason
from evergreen.registry.versions import StaleChampion
from evergreen.stages import answer as stage
from evergreen.stages.answer import approve, expire, reject
from evergreen.stages.open import open_run
from evergreen.stages.pin import pin, unpin
from evergreen.stages.run import Origin, Request
from evergreen.store.entry import Cause
from evergreen.store.facts import FactKind
from evergreen.store.ledger import AlreadyDecided
from evergreen.store.outbox import Outbox

NOW = datetime(2026, 5, 2, 9, tzinfo=UTC)
WHY = "seen the report; margins “hold”\nin every region"


class Killed(BaseException):
    """What no stage may catch."""


def dies(*arguments, **options):
    raise Killed


@pytest.fixture(scope="session")
def waiting_project(crowned_project, copied, second_moment, tmp_path_factory):
    project = copied(crowned_project, tmp_path_factory.mktemp("waiting") / "project")
    project.change(promotion={"mode": "approval"})
    with chdir(project.folder):
        assert project.run(second_moment).evidence.decision.kind is DecisionKind.HOLD
    return project


@pytest.fixture(scope="session")
def doubtful_project(crowned_project, copied, second_moment, tmp_path_factory):
    project = copied(crowned_project, tmp_path_factory.mktemp("doubtful") / "project")
    project.change(gates__slices={"by": ["plan"], "min_rows": 100_000})
    with chdir(project.folder):
        conclusion = project.run(second_moment)
    assert conclusion.evidence.decision.kind is DecisionKind.HOLD
    assert conclusion.evidence.registered is None
    return project


@pytest.fixture
def waiting(waiting_project, copied, addresses, tmp_path):
    """A project whose second challenger passed everything and waits for a person, registered as version 2."""
    project = copied(waiting_project, tmp_path / "project")
    addresses(project)
    return project


@pytest.fixture
def doubtful(doubtful_project, copied, addresses, tmp_path):
    """A project whose second challenger waits unregistered, as one check could not tell."""
    project = copied(doubtful_project, tmp_path / "project")
    addresses(project)
    return project


def held_in(project):
    (held,) = project.ledger.pending(project.model)
    return held


def test_a_challenger_that_passed_is_registered_and_tested_before_it_is_held(waiting):
    held = held_in(waiting)
    assert (held.kind, held.version, held.champion_before, held.champion_after) == (DecisionKind.HOLD, 2, 1, 1)
    assert "smoke_test" in [check.name for check in held.checks if check.passed]
    assert waiting.registry.aliases(waiting.model) == {"champion": 1, "challenger": 2}


def test_an_approval_promotes_and_says_who_and_why_in_their_words(waiting):
    held = held_in(waiting)
    entry = approve(held.id, "Ève", WHY, waiting.settings, NOW)
    assert (entry.kind, entry.cause, entry.resolves) == (DecisionKind.PROMOTE, Cause.APPROVAL, held.id)
    assert (entry.decided_by, entry.reasons) == ("Ève", (f"approved by Ève: {WHY}",))
    assert (entry.version, entry.champion_before, entry.champion_after) == (2, 1, 2)
    same = ("training_key", "snapshot", "spec_digest", "code", "mlflow_run", "model_digest", "as_of", "reason")
    assert [getattr(entry, name) for name in same] == [getattr(held, name) for name in same]
    assert {check.name for check in held.checks} == {check.name for check in entry.checks}
    assert waiting.registry.aliases(waiting.model) == {"champion": 2, "previous": 1}
    assert [crown.decision_id for crown in waiting.ledger.history(waiting.model)][1:] == [entry.id]
    assert waiting.ledger.pending(waiting.model) == ()


def test_what_was_held_unregistered_is_registered_by_its_approval(doubtful):
    held = held_in(doubtful)
    assert held.version is None
    assert doubtful.registry.versions(doubtful.model) == (1,)
    entry = approve(held.id, "eva", "the regions are too small to tell", doubtful.settings, NOW)
    assert (entry.kind, entry.version, doubtful.champion()) == (DecisionKind.PROMOTE, 2, 2)
    version = doubtful.registry.version(doubtful.model, 2)
    assert (version.digest, version.run_id, version.snapshot) == (held.model_digest, held.mlflow_run, held.snapshot)
    assert version.trained_until is not None
    assert doubtful.run(NOW).champion == 2, "the approved version is a champion that later runs are measured against"


def test_a_kept_challenger_that_was_touched_is_not_registered(doubtful):
    (file,) = (doubtful.settings.home / "artifacts").rglob("candidate.json")
    text = file.read_text()
    held = held_in(doubtful)
    file.write_text(text.replace(held.snapshot, "f" * 64))
    with pytest.raises(IntegrityError, match="has digest"):
        approve(held.id, "eva", "fine", doubtful.settings, NOW)
    assert doubtful.registry.versions(doubtful.model) == (1,)
    assert doubtful.decisions() == ["PROMOTE", "HOLD"]


def test_an_approved_version_that_does_not_answer_any_more_is_rejected(waiting):
    held = held_in(waiting)
    client = waiting.registry.tracking.client
    folder = client.get_model_version_download_uri(waiting.model, "2")
    with open(f"{folder}/expected.json", "a") as file:
        file.write(" ")
    entry = approve(held.id, "eva", "fine", waiting.settings, NOW)
    assert (entry.kind, entry.resolves, entry.champion_after) == (DecisionKind.REJECT, held.id, 1)
    assert entry.reasons[0] == "approved by eva: fine"
    assert "smoke_test FAIL" in entry.reasons[1]
    assert waiting.registry.aliases(waiting.model) == {"champion": 1}


def test_a_rejection_leaves_the_champion_and_takes_the_alias_off(waiting):
    held = held_in(waiting)
    entry = reject(held.id, "eva", "wrong quarter", waiting.settings, NOW)
    assert (entry.kind, entry.cause, entry.resolves) == (DecisionKind.REJECT, Cause.APPROVAL, held.id)
    assert entry.reasons == ("rejected by eva: wrong quarter",)
    assert waiting.registry.aliases(waiting.model) == {"champion": 1}
    with pytest.raises(AlreadyDecided, match="rejected by eva: wrong quarter"):
        approve(held.id, "tom", "I like it", waiting.settings, NOW)
    assert waiting.champion() == 1


@pytest.mark.parametrize(("by", "why", "says"), [("eva", " \n", "--why"), ("", "good", "--by")])
@pytest.mark.parametrize("answer", [approve, reject])
def test_nobody_answers_without_a_name_and_a_reason(waiting, answer, by, why, says):
    with pytest.raises(UserError, match=says):
        answer(held_in(waiting).id, by, why, waiting.settings, NOW)
    assert len(waiting.ledger.pending()) == 1


def test_a_decision_that_holds_nothing_is_refused_with_what_to_do(crowned, second_moment):
    with pytest.raises(UserError, match="there is no decision 99"):
        approve(99, "eva", "fine", crowned.settings, NOW)
    with pytest.raises(UserError, match="decision 1 is PROMOTE"):
        approve(1, "eva", "fine", crowned.settings, NOW)
    crowned.change(schema__columns={"waited": {"type": "number", "max": 0}})
    held = crowned.run(second_moment)
    with pytest.raises(UserError, match=r"holds no challenger.*Put the data right.*evergreen run tiny"):
        approve(held.ledger_id, "eva", "fine", crowned.settings, NOW)


def test_bad_data_afterwards_does_not_take_a_challenger_from_the_people(waiting, second_moment, week):
    held = held_in(waiting)
    waiting.change(schema__columns={"waited": {"type": "number", "max": 0}})
    assert waiting.run(second_moment + week).evidence.decision.kind is DecisionKind.HOLD
    assert held_in(waiting).id == held.id


def test_a_later_training_overtakes_what_was_held(waiting, second_moment, week):
    old = held_in(waiting)
    new = waiting.run(second_moment + week)
    with pytest.raises(UserError, match=f"overtaken by decision {new.ledger_id}"):
        reject(old.id, "eva", "late", waiting.settings, NOW)
    assert held_in(waiting).id == new.ledger_id


def test_a_challenger_is_not_approved_against_a_champion_it_never_met(waiting):
    client = waiting.registry.tracking.client
    first = waiting.registry.version(waiting.model, 1)
    source = client.get_model_version(waiting.model, "1").source
    client.create_model_version(waiting.model, source, run_id=first.run_id, tags=first.tags)
    client.set_registered_model_alias(waiting.model, "champion", "3")
    state = waiting.state()
    with pytest.raises(StaleChampion, match=r"version 3 is champion.*evergreen run tiny --force"):
        approve(held_in(waiting).id, "eva", "fine", waiting.settings, NOW)
    assert waiting.state() == state


def test_nobody_approves_against_a_pin(waiting):
    pin(waiting.model, "tom", "audit until June", waiting.settings, NOW)
    held = held_in(waiting)
    with pytest.raises(PinnedChampion, match=r"pinned by tom .* audit until June\. .*evergreen unpin tiny"):
        approve(held.id, "eva", "fine", waiting.settings, NOW)
    assert waiting.champion() == 1
    unpin(waiting.model, "tom", "audit done", waiting.settings, NOW)
    assert approve(held.id, "eva", "fine", waiting.settings, NOW).champion_after == 2


STEPS = {
    "before registering": ("register_held", dies),
    "before the smoke test": ("smoke_test", dies),
    "before the ledger": ("_approval", dies),
    "before the alias": ("promote", dies),
}


@pytest.mark.parametrize(("kind", "step"), [("waiting", "before the alias"), *(("doubtful", step) for step in STEPS)])
def test_an_approval_that_dies_is_finished_when_it_is_asked_again(request, kind, step, monkeypatch):
    project = request.getfixturevalue(kind)
    held = held_in(project)
    with monkeypatch.context() as patch:
        patch.setattr(stage, *STEPS[step])
        with pytest.raises(Killed):
            approve(held.id, "eva", "fine", project.settings, NOW)
    assert project.champion() == 1
    entry = approve(held.id, "eva", "fine", project.settings, NOW)
    assert (entry.kind, entry.resolves, project.champion()) == (DecisionKind.PROMOTE, held.id, 2)
    assert project.registry.versions(project.model) == (2, 1)
    assert project.registry.aliases(project.model) == {"champion": 2, "previous": 1}
    assert project.decisions() == ["PROMOTE", "HOLD", "PROMOTE"]
    assert [crown.version for crown in project.ledger.history(project.model)] == [1, 2]
    assert approve(held.id, "eva", "fine", project.settings, NOW) == entry


@pytest.mark.parametrize("step", ["alias", "crown"])
def test_an_approval_that_dies_in_its_promotion_is_finished_by_the_next_run(waiting, second_moment, step, monkeypatch):
    target = {"alias": "evergreen.registry.versions.Registry.promote", "crown": "evergreen.store.ledger.Ledger.crown"}
    with monkeypatch.context() as patch:
        patch.setattr(target[step], dies)
        with pytest.raises(Killed):
            approve(held_in(waiting).id, "eva", "fine", waiting.settings, NOW)
    request = Request(waiting.model, second_moment, Reason.MANUAL)
    run = open_run(request, Origin("tester"), waiting.settings, NOW)
    assert run.champion.version == 2
    assert [crown.version for crown in waiting.ledger.history(waiting.model)] == [1, 2]


def test_a_rejection_that_dies_before_the_alias_is_tidied_by_the_next_run(waiting, second_moment, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("evergreen.registry.versions.Registry.release", dies)
        with pytest.raises(Killed):
            reject(held_in(waiting).id, "eva", "no", waiting.settings, NOW)
    assert waiting.registry.aliases(waiting.model) == {"champion": 1, "challenger": 2}
    open_run(Request(waiting.model, second_moment, Reason.MANUAL), Origin("tester"), waiting.settings, NOW)
    assert waiting.registry.aliases(waiting.model) == {"champion": 1}


def test_what_waits_survives_whatever_run_comes_by_and_is_not_asked_twice(waiting, second_moment):
    held = held_in(waiting)
    again = waiting.run(second_moment)
    assert again.evidence.decision.kind is DecisionKind.SKIP
    assert f"decision {held.id} waits for a person" in again.evidence.decision.reasons[0]
    assert held_in(waiting).id == held.id
    assert waiting.registry.aliases(waiting.model) == {"champion": 1, "challenger": 2}
    reject(held.id, "eva", "not this one", waiting.settings, NOW)
    again = waiting.run(second_moment)
    assert again.evidence.decision.kind is DecisionKind.SKIP
    assert "rejected by eva: not this one; force to train it again" in again.evidence.decision.reasons[0]
    assert waiting.run(second_moment, force=True).evidence.decision.kind is DecisionKind.HOLD


def test_after_an_approval_the_same_question_is_answered(doubtful, second_moment):
    approve(held_in(doubtful).id, "eva", "fine", doubtful.settings, NOW)
    again = doubtful.run(second_moment)
    assert again.evidence.decision.kind is DecisionKind.SKIP
    assert "PROMOTE, version 2" in again.evidence.decision.reasons[0]


def test_what_nobody_answers_in_time_is_rejected(waiting, week, second_moment):
    held = held_in(waiting)
    asked, within = held.decided_at, {waiting.model: week}
    assert expire(waiting.settings, asked + week - timedelta(seconds=1), within) == ()
    assert expire(waiting.settings, asked + 2 * week, {"other": week}) == ()
    (entry,) = expire(waiting.settings, asked + week, within)
    assert (entry.kind, entry.cause, entry.resolves) == (DecisionKind.REJECT, Cause.TIMEOUT, held.id)
    assert (entry.decided_by, entry.reasons) == ("evergreen", (f"nobody answered decision {held.id} within 7d",))
    assert waiting.registry.aliases(waiting.model) == {"champion": 1}
    assert expire(waiting.settings, asked + week, within) == ()
    again = waiting.run(second_moment).evidence.decision
    assert again.kind is DecisionKind.SKIP
    assert f"nobody answered decision {held.id}" in again.reasons[0]
    with pytest.raises(AlreadyDecided, match="nobody answered"):
        approve(held.id, "eva", "sorry, was ill", waiting.settings, NOW)


def test_rejections_and_timeouts_need_no_mlflow(waiting, week, caplog):
    down = replace(waiting.settings, tracking_uri="http://127.0.0.1:9")
    held = held_in(waiting)
    (entry,) = expire(down, held.decided_at + week, {waiting.model: week})
    assert entry.kind is DecisionKind.REJECT
    assert "taken off by the next run" in caplog.text


def test_people_are_told_of_every_answer(waiting):
    held = held_in(waiting)
    outbox = Outbox(waiting.settings.store_url)
    assert outbox.known(f"decision:{held.id}").kind is FactKind.HELD
    entry = approve(held.id, "eva", "fine", waiting.settings, NOW)
    fact = outbox.known(f"decision:{entry.id}")
    assert (fact.kind, fact.payload["by"], fact.payload["cause"]) == (FactKind.PROMOTED, "eva", "approval")
