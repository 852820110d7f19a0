"""A version is trained again from what is recorded of it, and said to be the same only where it is."""

import json
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


def with_tags(recorded, **tags):
    names = {"environment": tag.ENVIRONMENT, "metrics": tag.METRICS}
    return replace(recorded, tags={**recorded.tags, **{names[name]: value for name, value in tags.items()}})


def test_what_differs_of_the_environment_is_named_with_both_versions(crowned, recorded, tmp_path, monkeypatch):
    then = json.loads(recorded.tags[tag.ENVIRONMENT])
    assert then == key.environment()
    older = with_tags(recorded, environment=json.dumps(then | {"scikit-learn": "1.8.0", "duckdb": None}))
    found = again(crowned, older, tmp_path)
    (note,) = found.notes
    assert f"duckdb not installed then, {then['duckdb']} now" in note
    assert f"scikit-learn 1.8.0 then, {then['scikit-learn']} now" in note
    assert "pandas" not in note
    assert "in this environment" in note


def test_an_older_version_has_the_environment_that_its_artifact_requires(crowned, recorded, tmp_path, monkeypatch):
    present = key.environment()
    monkeypatch.setattr(key, "environment", lambda: present | {"numpy": "9.9.9"})
    older = replace(recorded, tags={name: text for name, text in recorded.tags.items() if name != tag.ENVIRONMENT})
    (note,) = again(crowned, older, tmp_path).notes
    assert f"numpy {present['numpy']} then, 9.9.9 now" in note


def test_an_environment_that_differs_in_what_nobody_wrote_down(crowned, recorded, tmp_path, monkeypatch):
    monkeypatch.setattr(key, "environment_digest", lambda: "another")
    older = replace(recorded, tags={name: text for name, text in recorded.tags.items() if name != tag.ENVIRONMENT})
    (note,) = again(crowned, older, tmp_path).notes
    assert "not the same in what was not recorded then (duckdb, joblib, machine, threadpoolctl)" in note


@pytest.mark.parametrize(
    ("recorded_as", "moved"),
    [
        (lambda value: value, ()),
        (lambda value: value + 1e-8, ()),
        (lambda value: value + 1e-5, ("accuracy",)),
        (lambda value: None, ("accuracy",)),
    ],
)
def test_a_metric_that_differs_is_no_reproduction_whatever_the_answers(crowned, recorded, tmp_path, recorded_as, moved):
    metrics = json.loads(recorded.tags[tag.METRICS])
    metrics["accuracy"] = recorded_as(metrics["accuracy"])
    found = again(crowned, with_tags(recorded, metrics=json.dumps(metrics)), tmp_path)
    assert found.same_answers
    assert found.moved == moved
    assert found.equal is not bool(moved)


def test_how_fast_a_model_answered_and_what_this_code_does_not_know_are_not_compared(crowned, recorded, tmp_path):
    metrics = json.loads(recorded.tags[tag.METRICS])
    assert not {"latency_p95_ms", "size_mb"} & metrics.keys()
    found = again(crowned, with_tags(recorded, metrics=json.dumps(metrics | {"lift": 2.0})), tmp_path)
    assert "lift" not in found.metrics
    assert found.notes == ("this code does not know how lift was computed: not compared",)
    assert found.equal


def test_without_recorded_metrics_only_answers_are_compared(crowned, recorded, tmp_path):
    found = again(crowned, with_tags(recorded, metrics="{}"), tmp_path)
    assert found.notes == ("no metrics were recorded: only answers are compared",)
    assert found.equal


def test_a_snapshot_that_was_pruned_is_said_to_be_needed(crowned, recorded, tmp_path):
    (Path(crowned.settings.snapshots) / f"{recorded.tags[tag.SNAPSHOT]}.parquet").unlink()
    with pytest.raises(IntegrityError, match=r"without the data that trained it .*is gone"):
        again(crowned, recorded, tmp_path)


def test_a_run_that_lost_its_spec_is_said_to_be_needed(crowned, recorded, tmp_path):
    (file,) = Path(crowned.settings.artifacts).rglob(f"{recorded.run_id}/artifacts/spec.yaml")
    file.unlink()
    with pytest.raises(IntegrityError, match="cannot be trained again without its spec"):
        recorded_spec(recorded, crowned.settings, tmp_path)
    with pytest.raises(IntegrityError, match="cannot be trained again without its spec"):
        recorded_spec(replace(recorded, run_id="0" * 32), crowned.settings, tmp_path)


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
    with pytest.raises(UserError, match="no version 9; it has 1"):
        find_recorded(crowned.model, 9, crowned.settings)
    with pytest.raises(UserError, match="no version of 'nobody' is registered"):
        find_recorded("nobody", 1, crowned.settings)


def test_other_code_is_noticed(crowned, recorded, tmp_path):
    spec = recorded_spec(recorded, crowned.settings, tmp_path)
    assert is_this_code(recorded, spec)
    assert not is_this_code(replace(recorded, tags={**recorded.tags, tag.CODE: "older"}), spec)
