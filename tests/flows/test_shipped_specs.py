"""Every spec of configs/ ends with a first champion, and is what its first line promises."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from evergreen.data.frame import read_snapshot
from evergreen.data.paths import locate
from evergreen.gate.decision import DecisionKind
from evergreen.spec import load_spec
from evergreen.stages.load import inspect_data

pytestmark = pytest.mark.slow

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _as_fast_as_on_a_quiet_machine(monkeypatch):
    """Other tests share the cores: how long an answer takes here says nothing about a spec's bound on it."""
    monkeypatch.setattr("evergreen.evaluation.evaluate.measure_latency", lambda *_: 1.0)


def children(project):
    return [run for run in project.mlflow_runs() if "mlflow.parentRunId" in run.data.tags]


def artifacts(project, run, folder=None):
    return [file.path for file in project.registry.tracking.client.list_artifacts(run.info.run_id, folder)]


def names(conclusion):
    return {check.name for check in conclusion.evidence.decision.checks}


def test_one_customer_keeps_fifteen_trials_each_with_its_model(shipped, retrain):
    project = shipped("One_Customer_Classifier")
    conclusion = retrain(model="one_customer", as_of=NEW_YEAR)
    assert conclusion.champion == project.champion() == 1
    assert (conclusion.report.split.train_rows, conclusion.report.split.holdout_rows) == (800, 200)
    trials = children(project)
    tried = {(float(run.data.params["C"]), run.data.params["solver"]) for run in trials}
    assert tried == {(c, solver) for c in (0.01, 0.1, 1, 10, 100) for solver in ("liblinear", "lbfgs", "saga")}
    assert len(trials) == 15
    assert all({"accuracy_mean", "accuracy_std"} <= run.data.metrics.keys() for run in trials)
    assert all(artifacts(project, run, "model") for run in trials)
    best = max(run.data.metrics["accuracy_mean"] for run in trials)
    assert conclusion.evidence.fitted.recipe in [t.recipe for t in conclusion.evidence.trials if t.mean == best]


def test_random_forest_has_a_hundred_trees_of_depth_five(shipped, retrain):
    project = shipped("random_forest")
    conclusion = retrain(model="random_forest", as_of=NEW_YEAR)
    assert conclusion.champion == project.champion() == 1
    from evergreen.registry.model import load

    champion = project.registry.champion("random_forest")
    forest = load(project.registry.tracking, champion.source, champion.digest)[-1]
    assert len(forest.estimators_) == 100
    assert max(tree.get_depth() for tree in forest.estimators_) == 5


def test_penguins_are_registered_only_when_accurate_enough(shipped, retrain):
    project = shipped("penguins")
    shipped_spec = project.spec_file.read_text()
    project.change(gates__absolute={"accuracy": {"at_least": 1.01}})
    rejected = retrain(model="penguins", as_of=NEW_YEAR)
    assert rejected.evidence.decision.kind is DecisionKind.REJECT
    assert project.registry.versions("penguins") == ()
    project.spec_file.write_text(shipped_spec)
    conclusion = retrain(model="penguins", as_of=NEW_YEAR)
    assert conclusion.champion == project.champion() == 1
    assert conclusion.evidence.evaluation.challenger.metrics["accuracy"] >= 0.9
    assert len(conclusion.evidence.fitted.classes) == 3
    last = [
        run for run in children(project) if run.data.tags["mlflow.parentRunId"] == project.parents()[-1].info.run_id
    ]
    (network,) = [run for run in last if run.data.params["kind"] == "neural_network"]
    expected = {"hidden_layer_sizes": "(10, 8)", "solver": "sgd", "learning_rate_init": "0.01"}
    assert expected.items() <= network.data.params.items()
    assert {"accuracy_mean", "accuracy_std"} <= network.data.metrics.keys()
    assert artifacts(project, network, "model")


def test_a_dot_among_the_sexes_of_penguins_is_missing(shipped):
    project = shipped("penguins")
    lines = Path(locate("package://palmerpenguins/data/penguins.csv")).read_text().splitlines()
    row = next(n for n, line in enumerate(lines) if ",female," in line)
    lines[row] = lines[row].replace(",female,", ",.,")
    project.table.write_text("\n".join(lines) + "\n")
    missing = []
    for path in (locate("package://palmerpenguins/data/penguins.csv"), str(project.table)):
        source = {"kind": "csv", "path": path, "null_values": ["", "NA", "."]}
        project.change(data__source=source)
        snapshot, validation = inspect_data(load_spec(project.spec_file), NEW_YEAR, project.settings)
        assert validation.passed
        sex = read_snapshot(snapshot.path, ["sex"])["sex"]
        assert set(sex.cat.categories) == {"female", "male"}
        missing.append(int(sex.isna().sum()))
    assert missing[1] == missing[0] + 1


def test_churn_passes_its_gates_with_derived_features(shipped, retrain):
    project = shipped("churn")
    conclusion = retrain(model="churn", as_of=NEW_YEAR)
    assert conclusion.champion == project.champion() == 1
    assert {"accuracy", "f1_weighted", "latency_p95_ms", "size_mb", "slices"} <= names(conclusion)
    metrics = conclusion.evidence.evaluation.challenger.metrics
    assert metrics["accuracy"] >= 0.9
    assert metrics["f1_weighted"] >= 0.85
    assert conclusion.report.split.holdout_until <= datetime(2025, 12, 2, tzinfo=UTC), "labels come 30 days late"
    forests = [run for run in children(project) if run.data.params["kind"] == "gradient_boosting"]
    assert [run.data.params["n_estimators"] for run in forests] == ["200"]
    champion = project.registry.champion("churn")
    from evergreen.registry.model import load

    model = load(project.registry.tracking, champion.source, champion.digest)
    raw = {"quantity", "price", "last_purchase", "observed_at", "plan", "region"}
    assert set(model["read"].types) == raw, "serving sends raw columns; the pipeline derives the rest"


def test_houses_are_valued_with_errors_in_money(shipped, retrain):
    project = shipped("houses")
    conclusion = retrain(model="houses", as_of=NEW_YEAR)
    assert conclusion.champion == project.champion() == 1
    (parent,) = project.parents()
    assert {"holdout_mae", "holdout_rmse", "holdout_r2"} <= parent.data.metrics.keys()
    assert parent.data.metrics["holdout_r2"] >= 0.7
    assert 0 < parent.data.metrics["holdout_mae"] <= parent.data.metrics["holdout_rmse"]


def test_flights_find_a_first_champion_in_march(shipped, retrain):
    project = shipped("flights")
    march = datetime(2013, 3, 4, tzinfo=UTC)
    conclusion = retrain(model="flights", as_of=march)
    assert conclusion.champion == project.champion() == 1
    assert conclusion.report.snapshot.last_time <= march
    assert conclusion.report.split.holdout_until <= datetime(2013, 3, 3, tzinfo=UTC)
    assert conclusion.report.split.train_rows > 20_000
    assert conclusion.evidence.evaluation.challenger.metrics["roc_auc"] >= 0.65
    assert len(children(project)) == 5
