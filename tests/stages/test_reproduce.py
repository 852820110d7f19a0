"""A version is trained again from what is recorded of it, and said to be the same only where it is."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from evergreen.errors import IntegrityError, UserError
from evergreen.registry import provenance as tag
from evergreen.stages.reproduce import find_recorded, is_this_code, recorded_spec, reproduce
from evergreen.training import key


@pytest.fixture
def recorded(crowned):
    return find_recorded(crowned.model, 1, crowned.settings)


def again(project, recorded, tmp_path):
    folder = tmp_path / "again"
    folder.mkdir()
    return reproduce(recorded, project.settings, folder)


def test_the_same_inputs_give_the_same_answers_and_metrics(crowned, recorded, tmp_path):
    before = crowned.state(), len(crowned.mlflow_runs())
    found = again(crowned, recorded, tmp_path)
    assert found.equal
    assert found.difference == 0
    assert found.notes == ()
    assert found.rows > 100
    assert found.metrics["accuracy"][0] is not None
    assert all(then == pytest.approx(now) for then, now in found.metrics.values())
    assert (crowned.state(), len(crowned.mlflow_runs())) == before


def test_nothing_that_a_run_left_behind_is_taken_over(crowned, recorded, tmp_path):
    again(crowned, recorded, tmp_path)
    assert list((tmp_path / "again").glob("model-*"))
    assert list((tmp_path / "again").glob("trial-*"))


def test_a_model_of_another_spec_is_told_apart(crowned, recorded, tmp_path):
    # Somebody edits the recorded spec: a stronger penalty is another model.
    (file,) = Path(crowned.settings.artifacts).rglob(f"{recorded.run_id}/artifacts/spec.yaml")
    spec = yaml.safe_load(file.read_text())
    spec["training"]["candidates"][0]["grid"] = {"C": [0.0001]}
    file.write_text(yaml.safe_dump(spec))
    found = again(crowned, recorded, tmp_path)
    assert not found.equal
    assert "the recorded spec reads differently by this code" in found.notes


def test_libraries_that_moved_are_named(crowned, recorded, tmp_path, monkeypatch):
    monkeypatch.setattr(key, "environment_digest", lambda: "another")
    assert any("libraries" in note for note in again(crowned, recorded, tmp_path).notes)


def test_a_snapshot_that_changed_is_not_trained_on(crowned, recorded, tmp_path):
    path = Path(crowned.settings.snapshots) / f"{recorded.tags[tag.SNAPSHOT]}.parquet"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(IntegrityError, match="changed"):
        again(crowned, recorded, tmp_path)


def test_an_artifact_that_changed_is_not_loaded(crowned, recorded, tmp_path):
    with pytest.raises(IntegrityError, match="digest"):
        again(crowned, replace(recorded, digest="0" * 64), tmp_path)


def test_a_version_that_is_not_there_is_a_mistake_of_the_caller(crowned):
    with pytest.raises(UserError, match="no version 9"):
        find_recorded(crowned.model, 9, crowned.settings)


def test_other_code_is_noticed(crowned, recorded, tmp_path):
    spec = recorded_spec(recorded, crowned.settings, tmp_path)
    assert is_this_code(recorded, spec)
    assert not is_this_code(replace(recorded, tags={**recorded.tags, tag.CODE: "older"}), spec)
