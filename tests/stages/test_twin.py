"""A run that meets its twin takes it only where it is complete; what is not is told of, and never used again."""

import logging
import shutil
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from evergreen.errors import IntegrityError, UnavailableError
from evergreen.gate.decision import DecisionKind
from evergreen.registry.complete import find_damage
from evergreen.registry.model import load
from evergreen.registry.tracking import Tracking
from evergreen.spec.canary import CanaryRules
from evergreen.stages.open import tracking_of
from evergreen.stages.rollback import Target, rollback
from evergreen.stages.twin import find_loss, known_answer
from evergreen.training import key

pytestmark = pytest.mark.usefixtures("without_pictures")


def client(project):
    return tracking_of(project.settings).client


def artifact_of(project, version):
    return Path(client(project).get_model_version_download_uri(project.model, str(version)))


def delete_files(project, version):
    shutil.rmtree(artifact_of(project, version))


def delete_one_file(project, version):
    next(artifact_of(project, version).glob("model.*")).unlink()


def flip_a_byte(project, version):
    path = next(artifact_of(project, version).glob("model.*"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def delete_run(project, version):
    client(project).delete_run(project.registry.version(project.model, version).run_id)


def delete_version(project, version):
    client(project).delete_model_version(project.model, str(version))


FAULTS = [
    (delete_files, "has lost its files"),
    (delete_one_file, "has other files than were saved"),
    (flip_a_byte, "has other files than were saved"),
    (delete_run, "has lost its MLflow run"),
    (delete_version, "is gone from the registry"),
]


def each(faults):
    return pytest.mark.parametrize(("fault", "said"), faults, ids=[fault.__name__ for fault, _ in faults])


@pytest.fixture(scope="module")
def held_project(crowned_project, without_pictures, second_moment, copied, tmp_path_factory):
    """A challenger, version 2, that waits for a person."""
    project = copied(crowned_project, tmp_path_factory.mktemp("held") / "project")
    with chdir(project.folder):
        project.change(promotion={"mode": "approval"})
        assert project.run(second_moment).evidence.registered.version == 2
    return project


@pytest.fixture
def held(held_project, tmp_path, addresses, copied):
    copy = copied(held_project, tmp_path / "project")
    addresses(copy)
    return copy


def loss(project):
    """Why what the newest decision holds cannot be taken again."""
    return find_loss(project.ledger.entries(project.model)[0], None, tracking_of(project.settings), project.ledger)


@each(FAULTS)
def test_a_twin_is_not_complete_without_its_files_as_they_were_and_its_run(held, fault, said):
    assert loss(held) == ""
    fault(held, 2)
    assert loss(held).startswith(f"version 2 is of the same training, and is passed over: it {said}")


def test_a_twin_that_is_tried_waits_for_no_person(held):
    entry = held.ledger.entries(held.model)[0]
    champion = held.registry.champion(held.model)
    run = SimpleNamespace(spec=SimpleNamespace(digest=entry.spec_digest), champion=champion)
    asked = known_answer(entry, run, held.ledger)
    assert asked.endswith(f"decision {entry.id} waits for a person; evergreen approve {entry.id}")
    again = replace(entry, id=None, training_key="another")
    tried = held.ledger.record(again, CanaryRules())
    said = known_answer(tried, run, held.ledger)
    assert said.endswith(f"decision {tried.id} is tried on real requests; evergreen canary tiny")


@each([FAULTS[0], FAULTS[-1]])
def test_a_twin_that_is_not_complete_is_trained_and_registered_anew(held, second_moment, fault, said, caplog):
    fault(held, 2)
    with caplog.at_level(logging.WARNING, "evergreen"):
        conclusion = held.run(second_moment)
    assert conclusion.evidence.registered.version == 3
    assert held.registry.aliases(held.model) == {"champion": 1, "challenger": 3}
    newest = held.ledger.entries(held.model)[0]
    assert (newest.kind, newest.version) == (DecisionKind.HOLD, 3)
    (remark,) = [reason for reason in newest.reasons if said in reason]
    assert remark in caplog.text
    assert [entry.version for entry in held.ledger.pending(held.model)] == [3]
    load(tracking_of(held.settings), "models:/tiny/3", held.registry.version(held.model, 3).digest)
    assert all(trial.reused for trial in conclusion.evidence.trials), "what is finished is found again"

    runs = len(held.mlflow_runs())
    assert held.run(second_moment).evidence.decision.kind is DecisionKind.SKIP, "the new one is the twin from then on"
    assert held.registry.versions(held.model)[0] == 3
    assert len(held.mlflow_runs()) == runs


def test_a_held_challenger_that_is_not_registered_is_looked_at_as_well(crowned, second_moment):
    # No slice is large enough to be compared: held, and not registered.
    crowned.change(gates__slices={"by": ["plan"], "margin": 0.5, "min_rows": 100000})
    first = crowned.run(second_moment)
    assert first.evidence.decision.kind is DecisionKind.HOLD
    assert first.evidence.registered is None
    assert loss(crowned) == ""
    model_id = first.evidence.logged.uri.removeprefix("models:/")
    shutil.rmtree(client(crowned).get_logged_model(model_id).artifact_location)
    expected = f"the challenger of decision {first.ledger_id} is of the same training, and is passed over: it has lost"
    assert loss(crowned).startswith(expected)
    client(crowned).delete_run(first.evidence.logged and crowned.ledger.entries(crowned.model)[0].mlflow_run)
    assert "has lost its MLflow run" in loss(crowned)


def test_a_champion_of_former_times_that_is_damaged_does_not_return(crowned, first_moment, second_moment):
    assert crowned.run(second_moment).champion == 2
    flip_a_byte(crowned, 1)
    conclusion = crowned.run(first_moment)
    assert conclusion.evidence.decision.kind is DecisionKind.HOLD, "today's champion has seen those rows"
    assert "version 1 is of the same training" in " ".join(crowned.ledger.entries(crowned.model)[0].reasons)
    assert crowned.registry.aliases(crowned.model) == {"champion": 2, "previous": 1}


@each(FAULTS[:4])
def test_a_champion_that_is_damaged_stops_the_run_and_says_what_to_do(crowned, first_moment, fault, said):
    fault(crowned, 1)
    state = crowned.state()
    with pytest.raises(IntegrityError) as error:
        crowned.run(first_moment)
    assert str(error.value).startswith(f"version 1 of {crowned.model} is champion, and {said}")
    assert "restore it from the backup, or go back: evergreen rollback tiny" in str(error.value)
    assert crowned.state() == state


def test_force_does_not_replace_a_damaged_champion_either(crowned, first_moment):
    flip_a_byte(crowned, 1)
    with pytest.raises(IntegrityError, match="is champion, and has other files"):
        crowned.run(first_moment, force=True)
    assert crowned.registry.versions(crowned.model) == (1,)


def test_after_a_rollback_from_a_damaged_champion_runs_go_on(crowned, second_moment):
    assert crowned.run(second_moment).champion == 2
    delete_files(crowned, 2)
    with pytest.raises(IntegrityError, match="version 2 of tiny is champion, and has lost its files"):
        crowned.run(second_moment)
    rollback(crowned.model, Target(), "eva", "its files are gone", crowned.settings, second_moment)
    skipped = crowned.run(second_moment).evidence.decision
    assert skipped.kind is DecisionKind.SKIP, "what was rolled back is not trained anew unasked"
    assert "rolled back" in skipped.reasons[0]
    forced = crowned.run(second_moment, force=True)
    assert forced.champion == crowned.champion() == 3
    assert "version 2 is of the same training" in " ".join(crowned.ledger.entries(crowned.model)[0].reasons)


def test_a_rejection_stands_without_its_model(crowned, second_moment):
    crowned.change(gates__absolute={"accuracy": {"at_least": 0.999}})
    rejected = crowned.run(second_moment)
    assert rejected.evidence.decision.kind is DecisionKind.REJECT
    client(crowned).delete_run(crowned.ledger.entries(crowned.model)[0].mlflow_run)
    assert crowned.run(second_moment).evidence.decision.kind is DecisionKind.SKIP


def test_a_registry_that_does_not_answer_says_nothing_about_a_model(crowned):
    version = crowned.registry.version(crowned.model, 1)
    with pytest.raises(UnavailableError):
        find_damage(Tracking("http://127.0.0.1:1", ""), version.run_id, version.source, version.digest)


def test_force_trains_anew_under_the_version_of_the_same_answers(crowned, first_moment):
    conclusion = crowned.run(first_moment, force=True)
    assert not any(trial.reused for trial in conclusion.evidence.trials)
    newest, first = crowned.ledger.entries(crowned.model)
    assert (newest.version, newest.champion_before, newest.training_key) == (1, 1, first.training_key)
    assert newest.mlflow_run != first.mlflow_run, "a run of its own"
    assert crowned.registry.versions(crowned.model) == (1,), "an equal model is the version that is there"


def test_another_environment_is_another_training_with_the_next_number(crowned, first_moment, monkeypatch):
    monkeypatch.setattr(key, "environment_digest", lambda: "other libraries")
    conclusion = crowned.run(first_moment, force=True)
    newest = crowned.ledger.entries(crowned.model)[0]
    assert conclusion.evidence.registered.version == newest.version == 2
    assert crowned.registry.versions(crowned.model) == (2, 1)
    assert all(type(number) is int for number in crowned.registry.versions(crowned.model))
