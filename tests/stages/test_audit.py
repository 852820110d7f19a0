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
from evergreen.store.entry import Intention
from evergreen.store.ledger import Ledger
from evergreen.store.turn import take_turn
from tests.succession import BEFORE, CHAMPION, REJECTED, WAITING, snapshot_of

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


def notes(project):
    found = audit(project.settings)
    assert found.clean
    return [note.what for note in found.notes]


def test_a_version_that_was_champion_once_and_is_gone(aged):
    client(aged).delete_model_version(aged.model, "2")
    (what,) = problems(aged)
    assert what.startswith("version 2, champion since ")


def test_a_past_champions_artifact_that_changed(aged):
    (file,) = (f for f in Path(aged.settings.artifacts).rglob("number.txt") if f.read_text() == "2")
    file.write_text("two")
    (what,) = problems(aged)
    assert what.startswith("version 2: ")


@pytest.mark.parametrize("name", ["reference.parquet", "profile.json"])
def test_a_champions_reference_that_changed(aged, name):
    run_id = aged.registry.version(aged.model, CHAMPION).run_id
    (file,) = Path(aged.settings.artifacts).rglob(f"{run_id}/artifacts/reference/{name}")
    file.write_bytes(b"x")
    (what,) = problems(aged)
    assert f"version {CHAMPION}: {name} of tiny" in what


def test_a_champions_reference_that_is_gone(aged):
    run_id = aged.registry.version(aged.model, CHAMPION).run_id
    shutil.rmtree(next(Path(aged.settings.artifacts).rglob(f"{run_id}/artifacts/reference")))
    (what,) = problems(aged)
    assert what.startswith(f"version {CHAMPION}: its reference is gone")


def test_the_data_of_what_waits_for_a_person(aged):
    snapshot_of(aged, WAITING).unlink()
    (what,) = problems(aged)
    assert what.startswith("decision 6, which waits for a person: ")


def test_a_challenger_that_somebody_set_by_hand(aged):
    client(aged).set_registered_model_alias(aged.model, "challenger", "2")
    assert problems(aged) == ["alias challenger points at version 2, which nobody waits for"]


def test_a_challenger_that_was_rejected_is_told_of_and_taken_off(aged):
    client(aged).set_registered_model_alias(aged.model, "challenger", str(REJECTED))
    assert notes(aged) == ["alias challenger points at version 3, which nobody waits for: decision 3 rejected it"]
    tidy(aged.model, aged.settings, NOW)
    assert notes(aged) == []


def test_a_challenger_whose_question_was_overtaken_is_told_of_and_taken_off(aged):
    newest = aged.ledger.entries(aged.model)[0]
    changes = {"kind": DecisionKind.HOLD, "version": None, "model_digest": "0" * 64, "training_key": "key 8"}
    aged.ledger.record(replace(newest, id=None, **changes))
    (what,) = notes(aged)
    assert what.endswith("nobody waits for: decision 6 held it, and was overtaken or answered")
    tidy(aged.model, aged.settings, NOW)
    assert notes(aged) == []
    assert aged.registry.aliases(aged.model) == {"champion": CHAMPION, "previous": BEFORE}


def test_an_intention_whose_reign_is_over_is_harmless(crowned):
    changes = {"training_key": "key 2", "mlflow_run": "r", "model_digest": "d", "champion_before": None}
    crowned.ledger.intend(Intention(crowned.model, **changes, fence=0, at=NOW))
    (note,) = notes(crowned)
    assert note == "1 intentions of runs that died are open, and their reigns are over (#2)"
    with take_turn(crowned.settings.store_url, crowned.model, "a run", NOW):
        assert notes(crowned) == []


def test_an_intention_of_the_present_reign_is_taken_up_and_not_spoken_of(crowned):
    fence = crowned.ledger.fence(crowned.model)
    changes = {"training_key": "key 2", "mlflow_run": "r", "model_digest": "d", "champion_before": 1}
    crowned.ledger.intend(Intention(crowned.model, **changes, fence=fence, at=NOW))
    assert notes(crowned) == []


def test_an_audit_asks_no_more_of_the_store_for_more_decisions(crowned, monkeypatch):
    (entry,) = crowned.ledger.entries(crowned.model)
    asked = []
    monkeypatch.setattr(Ledger, "_entries", counted(Ledger._entries, asked))
    monkeypatch.setattr(Ledger, "_crowns", counted(Ledger._crowns, asked))
    audit(crowned.settings)
    before = len(asked)
    for _ in range(20):
        crowned.ledger.record(replace(entry, id=None, kind=DecisionKind.REJECT, version=None, decided_at=NOW))
    asked.clear()
    audit(crowned.settings)
    assert len(asked) == before < 20


def counted(real, asked):
    def call(*args, **kwargs):
        asked.append(args)
        return real(*args, **kwargs)

    return call
