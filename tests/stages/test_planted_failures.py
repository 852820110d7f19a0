"""Runs that die, servers that are gone, artifacts that were touched: the champion stays, and the next run goes on."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from evergreen.errors import IntegrityError, UnavailableError
from evergreen.gate.decision import DecisionKind, Reason
from evergreen.registry.versions import StaleChampion
from evergreen.settings import Settings
from evergreen.stages.open import open_run
from evergreen.stages.promote import promote
from evergreen.stages.run import Origin, Request
from evergreen.stages.turn import drop, take_turn
from evergreen.store.turn import Busy


class Killed(BaseException):
    """What no stage may catch."""


def stop_at(stage, error):
    """Raise an error before a stage."""

    def visit(name):
        if name == stage:
            raise error

    return visit


def artifact_of(project, version: int) -> Path:
    """The folder of a registered model's files."""
    client = project.registry.tracking.client
    return Path(client.get_model_version_download_uri(project.model, str(version)))


def model_file(folder: Path) -> Path:
    return next(path for path in folder.iterdir() if path.name.startswith("model.") and path.suffix != ".html")


def spoil(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7] + b"spoiled")


def test_a_run_that_dies_anywhere_leaves_the_champion_and_the_next_one_goes_on(crowned, second_moment):
    # Nothing is tracked before there is something to train for.
    stages = ("validate", "trial C=1.0", "log", "evaluate", "smoke", "record")
    for dead, stage in enumerate(stages):
        with pytest.raises(Killed):
            crowned.run(second_moment, at=stop_at(stage, Killed()))
        assert crowned.champion() == 1
        assert crowned.decisions() == ["PROMOTE"]
        assert [run.info.status for run in crowned.parents()] == ["FINISHED", *["KILLED"] * dead]
    conclusion = crowned.run(second_moment)
    assert conclusion.champion == crowned.champion() == 2
    assert crowned.registry.versions(crowned.model) == (2, 1), "runs of one training leave one version"
    assert crowned.registry.aliases(crowned.model) == {"champion": 2, "previous": 1}
    assert crowned.ledger.entries(crowned.model)[0].model_digest == crowned.registry.version(crowned.model, 2).digest
    assert all(trial.reused for trial in conclusion.evidence.trials)
    assert conclusion.evidence.fitted.reused


def test_a_promotion_that_died_between_ledger_and_alias_is_finished_by_the_next_run(crowned, second_moment):
    with pytest.raises(Killed):
        crowned.run(second_moment, at=stop_at("promote", Killed()))
    assert crowned.champion() == 1
    assert crowned.decisions() == ["PROMOTE", "PROMOTE"]
    request = Request(crowned.model, second_moment, Reason.MANUAL)
    run = open_run(request, Origin("tester"), crowned.settings, second_moment)
    assert run.champion.version == crowned.champion() == 2
    assert [crown.version for crown in crowned.ledger.history(crowned.model)] == [1, 2]
    assert crowned.run(second_moment).evidence.decision.kind is DecisionKind.SKIP


def test_a_dry_run_finishes_nothing(crowned, second_moment):
    with pytest.raises(Killed):
        crowned.run(second_moment, at=stop_at("promote", Killed()))
    request = Request(crowned.model, second_moment, Reason.MANUAL, dry_run=True)
    run = open_run(request, Origin("tester"), crowned.settings, second_moment)
    assert run.champion.version == crowned.champion() == 1


def test_an_error_in_training_closes_the_mlflow_run_as_failed(project, first_moment):
    with pytest.raises(ZeroDivisionError):
        project.run(first_moment, at=stop_at("fit", ZeroDivisionError()))
    assert [run.info.status for run in project.parents()] == ["FAILED"]
    with pytest.raises(KeyboardInterrupt):
        project.run(first_moment, at=stop_at("fit", KeyboardInterrupt()))
    assert [run.info.status for run in project.parents()] == ["FAILED", "KILLED"]
    assert project.decisions() == []
    conclusion = project.run(first_moment)
    assert all(trial.reused for trial in conclusion.evidence.trials)
    assert conclusion.champion == 1


def test_a_champion_that_another_run_has_replaced_meanwhile_stays(crowned, second_moment):
    client = crowned.registry.tracking.client
    first = crowned.registry.version(crowned.model, 1)

    def overtake(stage):
        if stage == "promote":
            source = client.get_model_version(crowned.model, "1").source
            client.create_model_version(crowned.model, source, run_id=first.run_id, tags=first.tags)
            client.set_registered_model_alias(crowned.model, "champion", "3")

    with pytest.raises(StaleChampion, match="version 3 is champion now"):
        crowned.run(second_moment, at=overtake)
    assert crowned.champion() == 3
    assert [crown.version for crown in crowned.ledger.history(crowned.model)] == [1]
    newest = crowned.ledger.entries(crowned.model)[0]
    assert (newest.kind, newest.version) == (DecisionKind.HOLD, 2), "the promotion is withdrawn"
    with pytest.raises(IntegrityError, match="no decision speaks of it"):
        crowned.run(second_moment)
    client.set_registered_model_alias(crowned.model, "champion", "1")
    conclusion = crowned.run(second_moment)
    assert conclusion.evidence.decision.kind is not DecisionKind.SKIP, "a promotion without effect is no answer"


def test_an_alias_that_somebody_deleted_is_not_read_as_no_champion(crowned, second_moment):
    crowned.registry.tracking.client.delete_registered_model_alias(crowned.model, "champion")
    with pytest.raises(IntegrityError, match=r"is gone, but the ledger knows of version 1; evergreen rollback"):
        crowned.run(second_moment)
    assert crowned.decisions() == ["PROMOTE"]


def test_a_champion_whose_artifact_is_not_the_ledgers_is_not_loaded(crowned, second_moment):
    client = crowned.registry.tracking.client
    client.set_model_version_tag(crowned.model, "1", "evergreen.model_digest", "0" * 64)
    with pytest.raises(IntegrityError, match="names another artifact than the ledger does"):
        crowned.run(second_moment)


def test_only_a_promotion_moves_the_champion(crowned, second_moment):
    def tamper(stage):
        if stage == "smoke":
            spoil(model_file(artifact_of(crowned, 2)))

    crowned.run(second_moment, at=tamper)
    rejected = crowned.ledger.entries(crowned.model)[0]
    assert (rejected.kind, rejected.version) == (DecisionKind.REJECT, 2)
    promote(rejected, crowned.settings, second_moment)
    assert crowned.champion() == 1
    again = crowned.run(second_moment)
    assert again.evidence.decision.kind is not DecisionKind.SKIP, "a failed smoke test is tried again"


def test_runs_that_were_killed_are_closed_by_the_next_one(project, first_moment):
    with pytest.raises(Killed):
        project.run(first_moment, at=stop_at("fit", Killed()))
    (left,) = project.parents()
    project.registry.tracking.client.update_run(left.info.run_id, status="RUNNING")
    project.run(first_moment)
    assert [run.info.status for run in project.parents()] == ["KILLED", "FINISHED"]


def test_a_second_run_in_the_same_process_leaves_with_a_reason(project, first_moment):
    def second(stage):
        if stage == "fit":
            with pytest.raises(Busy, match="a run has its turn since"):
                project.run(first_moment)

    assert project.run(first_moment, at=second).champion == 1
    assert project.decisions() == ["PROMOTE"]


def test_a_run_of_somebody_else_meanwhile_is_dropped_with_a_row(project, first_moment):
    request, somebody = Request("tiny", first_moment, Reason.MANUAL), Origin("somebody", flow_run="run 4711")

    def second(stage):
        if stage == "fit":
            with take_turn(request, somebody, project.settings, first_moment) as turn:
                assert drop(turn, project.settings, first_moment).dropped

    assert project.run(first_moment, at=second).champion == 1
    assert project.decisions() == ["SKIP", "PROMOTE"]


def test_a_registered_model_that_fails_its_smoke_test_never_becomes_champion(crowned, second_moment):
    def tamper(stage):
        if stage == "smoke":
            spoil(model_file(artifact_of(crowned, 2)))

    conclusion = crowned.run(second_moment, at=tamper)
    assert conclusion.evidence.decision.kind is DecisionKind.REJECT
    (smoke,) = [check for check in conclusion.evidence.decision.checks if check.name == "smoke_test"]
    assert smoke.outcome == "FAIL"
    assert crowned.champion() == 1
    assert crowned.decisions() == ["PROMOTE", "REJECT"]
    assert [crown.version for crown in crowned.ledger.history(crowned.model)] == [1]


@pytest.mark.parametrize("damage", ["spoiled", "gone"])
def test_a_champion_that_cannot_be_loaded_is_an_error_and_never_no_champion(crowned, second_moment, damage):
    file = model_file(artifact_of(crowned, 1))
    spoil(file) if damage == "spoiled" else file.unlink()
    state = crowned.state()
    with pytest.raises(IntegrityError, match="version 1 of tiny is champion, and has"):
        crowned.run(second_moment)
    assert crowned.state() == state
    assert [run.info.status for run in crowned.parents()] == ["FINISHED"], "nothing was begun"


def test_a_reference_that_was_touched_is_an_error(crowned, second_moment):
    (profile,) = (crowned.settings.home / "artifacts").rglob("profile.json")
    profile.write_text(profile.read_text().replace("plus", "minus"))
    for cached in (crowned.settings.home / "champions").rglob("profile.json"):
        cached.unlink()
    with pytest.raises(IntegrityError, match=r"profile\.json of tiny version 1"):
        crowned.run(second_moment)
    assert crowned.champion() == 1


@pytest.mark.parametrize("address", ["tracking_uri", "store_url"])
def test_a_server_that_is_down_is_an_error_and_nothing_is_decided(crowned, second_moment, address):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        host = f"eva:s3cret@127.0.0.1:{taken.getsockname()[1]}"
        url = f"http://{host}" if address == "tracking_uri" else f"postgresql://{host}/evergreen"
        settings: Settings = replace(crowned.settings, **{address: url})
        files, state = crowned.files("work", "snapshots", "artifacts"), crowned.state()
        request = Request(crowned.model, second_moment, Reason.MANUAL)
        with pytest.raises(UnavailableError, match="does not answer") as caught:
            open_run(request, Origin("tester"), settings, second_moment)
    assert "s3cret" not in str(caught.value)
    assert crowned.files("work", "snapshots", "artifacts") == files
    assert crowned.state() == state
