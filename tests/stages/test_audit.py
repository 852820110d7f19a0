"""What is planted behind Evergreen's back is found, each by its own problem; what Evergreen does leaves none."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from evergreen.gate.decision import DecisionKind
from evergreen.registry import provenance as tag
from evergreen.stages.audit import audit
from evergreen.stages.open import tracking_of
from evergreen.stages.tidy import tidy
from evergreen.store.turn import take_turn

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def problems(project):
    return [problem.what for problem in audit(project.settings).problems]


def client(project):
    return tracking_of(project.settings).client


def test_what_evergreen_leaves_behind_agrees(crowned):
    found = audit(crowned.settings)
    assert found.clean
    assert (found.models, found.decisions, found.artifacts) == (1, 1, 1)


def test_an_alias_that_was_moved_by_hand(crowned):
    client(crowned).delete_registered_model_alias(crowned.model, "champion")
    (what,) = problems(crowned)
    assert "alias champion of tiny is gone, but the ledger knows of version 1" in what


def test_a_version_that_no_decision_speaks_of(crowned):
    tracking = client(crowned)
    known = tracking.get_model_version(crowned.model, "1")
    tracking.create_model_version(crowned.model, known.source, run_id=known.run_id)
    assert problems(crowned) == ["version 2 is in the registry and no decision speaks of it"]


def test_a_version_that_names_another_artifact(crowned):
    client(crowned).set_model_version_tag(crowned.model, "1", tag.MODEL_DIGEST, "0" * 64)
    assert problems(crowned) == ["version 1 names another artifact than the ledger does"]


def model_file(project):
    (found,) = {path for path in Path(project.settings.artifacts).rglob("model.*") if path.suffix in (".skops", ".pkl")}
    return found


def test_an_artifact_whose_bytes_changed(crowned):
    with model_file(crowned).open("ab") as file:
        file.write(b"x")
    (what,) = problems(crowned)
    assert "digest" in what


def test_an_artifact_that_is_gone(crowned):
    shutil.rmtree(model_file(crowned).parent)
    (what,) = problems(crowned)
    assert "its files are gone" in what


def test_a_champions_snapshot_that_is_gone(crowned):
    digest = crowned.registry.version(crowned.model, 1).tags[tag.SNAPSHOT]
    (Path(crowned.settings.snapshots) / f"{digest}.parquet").unlink()
    (what,) = problems(crowned)
    assert "the snapshot is gone" in what


def test_a_row_of_the_ledger_that_was_changed(crowned):
    with closing(sqlite3.connect(crowned.settings.store_file)) as connection, connection:
        connection.execute("DROP TRIGGER decisions_no_update")
        connection.execute("UPDATE decisions SET decided_by = 'somebody else'")
    (what,) = problems(crowned)
    assert what.startswith("decisions: chain broken")


def test_a_promotion_without_its_effect_is_finished_by_reconciling(crowned):
    (entry,) = crowned.ledger.entries(crowned.model)
    again = replace(entry, id=None, champion_before=1, decided_at=NOW)
    crowned.ledger.record(again)
    assert problems(crowned) == ["decision 2 promotes version 1 and has not taken effect"]
    assert "decision 2 is finished" in tidy(crowned.model, crowned.settings, NOW)[0]
    assert problems(crowned) == []


def test_a_tracking_run_of_the_dead_is_found_and_closed(crowned):
    run = tracking_of(crowned.settings).start_run(crowned.model, "left open", {})
    (what,) = problems(crowned)
    assert run.run_id in what
    assert run.run_id in tidy(crowned.model, crowned.settings, NOW)[0]
    assert problems(crowned) == []


def test_a_tracking_run_of_the_living_is_left_alone(crowned):
    tracking_of(crowned.settings).start_run(crowned.model, "at work", {})
    with take_turn(crowned.settings.store_url, crowned.model, "a run", NOW):
        assert problems(crowned) == []
        assert "a run has its turn" in tidy(crowned.model, crowned.settings, NOW)[0]
    assert len(problems(crowned)) == 1


@pytest.mark.parametrize(("age", "closed"), [(timedelta(hours=23), False), (timedelta(hours=25), True)])
def test_a_dry_run_takes_no_turn_and_is_taken_for_dead_after_a_day(crowned, age, closed):
    tracking = tracking_of(crowned.settings)
    dry = tracking.start_run(crowned.model, "a look", {"evergreen.dry_run": "true"})
    trial = tracking.start_child(dry, "a trial", {})
    began = datetime.fromtimestamp(tracking.client.get_run(dry.run_id).info.start_time / 1000, UTC)
    lines = "".join(tidy(crowned.model, crowned.settings, began + age))
    assert [run.run_id in lines for run in (dry, trial)] == [closed, closed]


@pytest.mark.parametrize("kind", [DecisionKind.REJECT, DecisionKind.HOLD, DecisionKind.SKIP])
def test_decisions_without_effect_leave_all_in_order(crowned, kind):
    (entry,) = crowned.ledger.entries(crowned.model)
    crowned.ledger.record(replace(entry, id=None, kind=kind, champion_before=1, version=None, decided_at=NOW))
    assert problems(crowned) == []
