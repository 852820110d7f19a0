import subprocess
import sys
from datetime import UTC, datetime

import pytest

from evergreen.data.snapshot import Snapshot
from evergreen.errors import EvergreenError, IntegrityError
from evergreen.registry.handles import RunHandle
from evergreen.registry.tracking import Tracking
from evergreen.registry.trials import log_trials
from evergreen.training.handles import Recipe, TrialResult

NOW = datetime(2026, 3, 2, tzinfo=UTC)
KEY = {"evergreen.training_key": "k1"}


FOUR = """
import os, sys
import mlflow
from evergreen.registry.tracking import Tracking

children = []
for _ in range(4):
    child = os.fork()
    if not child:
        Tracking(*sys.argv[1:]).prepare()
        os._exit(0)
    children.append(child)
sys.exit(any(os.waitpid(child, 0)[1] for child in children))
"""


def test_four_processes_that_prepare_at_once_leave_a_good_database(tmp_path):
    uri, artifacts = f"sqlite:///{tmp_path / 'home' / 'mlflow.db'}", str(tmp_path / "home" / "artifacts")
    command = [sys.executable, "-c", FOUR, uri, artifacts]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    tracking = Tracking(uri, artifacts)
    run = tracking.start_run("churn", "first", KEY)
    assert tracking.tags(run.run_id)["evergreen.training_key"] == "k1"
    assert {path.name for path in tmp_path.iterdir()} == {"home"}


def test_building_a_tracking_touches_nothing(tmp_path):
    Tracking(f"sqlite:///{tmp_path / 'mlflow.db'}", str(tmp_path / "artifacts"))
    assert list(tmp_path.iterdir()) == []


def test_a_run_keeps_what_is_logged(tracking, tmp_path):
    run = tracking.start_run("churn", "weekly", {"evergreen.reason": "scheduled"})
    (tmp_path / "report.html").write_text("<p>")
    tracking.log_params(run.run_id, {f"p{n}": n for n in range(205)})
    tracking.log_metrics(run.run_id, {**{f"m{n}": n / 7 for n in range(205)}, "auc": None})
    tracking.log_tags(run.run_id, {"evergreen.code": "c0ffee"})
    tracking.log_artifacts(run.run_id, [tmp_path / "report.html"], "drift")
    tracking.finish(run.run_id)
    found = tracking.client.get_run(run.run_id)
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "weekly"
    assert found.data.params == {f"p{n}": str(n) for n in range(205)}
    assert found.data.metrics == {f"m{n}": n / 7 for n in range(205)}
    assert found.data.tags.items() >= {"evergreen.reason": "scheduled", "evergreen.code": "c0ffee"}.items()
    assert (tmp_path / "artifacts" / "churn" / run.run_id / "artifacts" / "drift" / "report.html").exists()


def test_a_model_has_one_experiment_even_after_somebody_deleted_it(tracking):
    first = tracking.start_run("churn", "a", {})
    tracking.client.delete_experiment(first.experiment_id)
    assert tracking.start_run("churn", "b", {}).experiment_id == first.experiment_id
    assert tracking.start_run("penguins", "a", {}).experiment_id != first.experiment_id


def test_a_parameter_cannot_be_rewritten(tracking):
    run = tracking.start_run("churn", "a", {})
    tracking.log_params(run.run_id, {"C": 1})
    with pytest.raises(EvergreenError, match="refused"):
        tracking.log_params(run.run_id, {"C": 2})


def test_every_trial_is_a_finished_child_with_its_scores_by_fold(tracking):
    parent = tracking.start_run("churn", "search", {})
    recipes = [Recipe(0, "logistic_regression", {"C": c, "solver": "lbfgs"}, "scaled") for c in (0.1, 1.0)]
    results = [TrialResult(recipe, "f1", (0.7, 0.8, 0.9), 0.8, 0.1, 2.5, 900) for recipe in recipes]
    children = log_trials(tracking, parent, results)
    runs = [tracking.client.get_run(child.run_id) for child in children]
    assert [run.info.run_name for run in runs] == [recipe.label for recipe in recipes]
    assert [run.data.params["C"] for run in runs] == ["0.1", "1.0"]
    for run in runs:
        assert run.info.status == "FINISHED"
        assert run.info.end_time - run.info.start_time == 2500
        assert run.data.tags["mlflow.parentRunId"] == parent.run_id
        assert run.data.metrics == {"f1_fold": 0.9, "f1_mean": 0.8, "f1_std": 0.1, "seconds": 2.5, "rows": 900}
        steps = tracking.client.get_metric_history(run.info.run_id, "f1_fold")
        assert [(metric.step, metric.value) for metric in steps] == [(0, 0.7), (1, 0.8), (2, 0.9)]


def test_a_child_is_shown_below_its_parent(tracking):
    parent = tracking.start_run("churn", "search", {})
    child = tracking.start_child(parent, "final", {"a": "b"})
    tags = tracking.tags(child.run_id)
    assert (tags["mlflow.parentRunId"], tags["a"]) == (parent.run_id, "b")


def test_the_snapshot_of_a_run_is_its_dataset(tracking):
    run = tracking.start_run("churn", "a", {})
    digest = "5e1f" * 16
    tracking.log_dataset(run.run_id, Snapshot(f"/data/{digest}.parquet", digest, 900, 800, NOW))
    (dataset,) = tracking.client.get_run(run.run_id).inputs.dataset_inputs
    assert digest.startswith(dataset.dataset.digest)
    assert f"/data/{digest}.parquet" in dataset.dataset.source
    assert tracking.tags(run.run_id)["evergreen.snapshot"] == digest


def test_runs_of_a_training_that_nobody_closed_are_found_by_its_key(tracking):
    finished = tracking.start_run("churn", "a", KEY)
    tracking.finish(finished.run_id)
    killed = [tracking.start_run("churn", name, KEY).run_id for name in "bc"]
    tracking.start_run("churn", "other", {"evergreen.training_key": "k2"})
    assert set(tracking.find_unfinished("churn", "k1")) == set(killed)
    assert tracking.find_unfinished("penguins", "k1") == ()


def test_a_model_whose_files_are_gone_is_an_error(tracking, logged, tmp_path):
    (mlmodel,) = (tmp_path / "artifacts").rglob("MLmodel")
    mlmodel.unlink()
    with pytest.raises(IntegrityError, match="files are gone"):
        tracking.download(logged[1].uri, tmp_path / "copy")


@pytest.mark.parametrize(
    ("uri", "page"),
    [
        ("sqlite:////srv/mlflow.db", None),
        ("http://eva:s3cret@mlflow:5000/", "http://mlflow:5000/#/experiments/7/runs/r1"),
        ("https://host/prefix", "https://host/prefix/#/experiments/7/runs/r1"),
    ],
)
def test_a_run_has_a_page_where_a_server_shows_it(uri, page):
    assert Tracking(uri, "artifacts").url(RunHandle("r1", "7")) == page
