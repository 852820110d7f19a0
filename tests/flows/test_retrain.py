"""The flow as Prefect runs it: a tiny model from its first champion to its twin."""

import json
import sys
from datetime import UTC, datetime

import pytest

from evergreen.gate.decision import DecisionKind, Reason
from evergreen.stages.run import Conclusion

pytestmark = pytest.mark.slow


def test_the_flow_ends_with_a_champion_and_shows_every_stage(project, retrain, flow_run, first_moment):
    conclusion = retrain(model="tiny", reason=Reason.SCHEDULED, as_of=first_moment)
    assert isinstance(conclusion, Conclusion)
    assert conclusion.champion == project.champion() == 1
    (entry,) = project.ledger.entries("tiny")
    assert entry.reason is Reason.SCHEDULED
    (parent,) = project.parents()
    seen = flow_run(entry.flow_run)
    assert seen["name"] == "tiny-scheduled: PROMOTE version 1"
    assert seen["state"].name == "Completed"
    assert seen["state"].message.startswith("The tiny challenger may become the first champion: all ")
    assert {"tiny", "PROMOTE", "version 1", f"mlflow {parent.info.run_id}"} <= set(seen["tags"])
    assert parent.data.tags["evergreen.flow_run"] == entry.flow_run
    stages = [run.name for run in seen["tasks"]]
    in_turn = ["open", "load", "prepare", "validate", "drift", "find twin", "split"]
    assert stages[: len(in_turn)] == in_turn
    assert stages[-8:] == ["log", "evaluate", "gate", "register", "smoke test", "record", "promote", "conclude"]
    assert sum(name.startswith("trial ") for name in stages) == 2
    assert all(run.state.is_completed() for run in seen["tasks"])
    assert {"tiny-validation", "tiny-gate", "tiny-decision"} <= seen["artifacts"].keys()
    assert "PROMOTE" in seen["artifacts"]["tiny-gate"]
    assert "accuracy" in seen["artifacts"]["tiny-gate"]
    assert "smoke_test" in seen["artifacts"]["tiny-decision"]


def test_a_later_run_shows_drift_and_its_twin_trains_nothing(crowned, retrain, flow_run, second_moment):
    assert retrain(model="tiny", as_of=second_moment).champion == 2
    seen = flow_run(crowned.ledger.entries("tiny", 1)[0].flow_run)
    assert "| waited |" in seen["artifacts"]["tiny-drift"].replace("`", "")
    again = retrain(model="tiny", as_of=second_moment)
    assert again.evidence.decision.kind is DecisionKind.SKIP
    names = [run.name for run in flow_run(crowned.ledger.entries("tiny", 1)[0].flow_run)["tasks"]]
    assert names == ["open", "load", "prepare", "validate", "drift", "find twin", "record", "conclude"]


def test_data_that_break_a_rule_stop_the_flow_at_validate(crowned, retrain, flow_run):
    crowned.change(schema__rows={"at_least": 100000})
    before = datetime.now(UTC)
    conclusion = retrain(model="tiny")
    assert conclusion.evidence.decision.kind is DecisionKind.HOLD
    assert before <= conclusion.report.as_of <= datetime.now(UTC), "without as_of a run looks from when it was due"
    assert type(conclusion.report.as_of) is datetime
    seen = flow_run(crowned.ledger.entries("tiny", 1)[0].flow_run)
    assert [run.name for run in seen["tasks"]] == ["open", "load", "prepare", "validate", "record", "conclude"]
    assert "wanted at least 100,000" in seen["artifacts"]["tiny-validation"]


@pytest.mark.parametrize("search", [{"kind": "random", "trials": 3}, {"kind": "halving", "trials": 6, "factor": 2}])
def test_a_search_goes_through_its_rounds(project, retrain, first_moment, search):
    grid = {"C": [0.01, 0.03, 0.1, 0.3, 1, 3]}
    project.change(
        training__search=search,
        training__candidates=[{"kind": "logistic_regression", "grid": grid}],
        gates__absolute={"accuracy": {"at_least": 0.999}},
    )
    conclusion = retrain(model="tiny", as_of=first_moment)
    trials = conclusion.evidence.trials
    if search["kind"] == "random":
        assert len(trials) == 3
        assert len({trial.rows for trial in trials}) == 1
    else:
        rounds = sorted({trial.rows for trial in trials})
        assert [sum(trial.rows == rows for trial in trials) for rows in rounds] == [6, 3, 2, 1]
        assert conclusion.evidence.fitted.recipe == trials[-1].recipe
    assert len(project.mlflow_runs()) == 1 + len(trials)


KINDS = [
    {"kind": "logistic_regression"},
    {"kind": "gradient_boosting", "params": {"n_estimators": 5}},
    {"kind": "hist_gradient_boosting", "params": {"max_iter": 5}},
    {"kind": "random_forest", "params": {"n_estimators": 5}},
    {"kind": "extra_trees", "params": {"n_estimators": 5}},
    {"kind": "decision_tree", "params": {"max_depth": 3}},
    {"kind": "k_neighbors"},
    {"kind": "neural_network", "params": {"max_iter": 20}},
]


@pytest.mark.parametrize("runner", ["threads", "processes"])
def test_every_kind_of_candidate_is_tried_wherever_trials_run(project, retrain, first_moment, runner):
    project.change(
        training__search={"runner": runner, "workers": 2},
        training__candidates=KINDS,
        gates__absolute={"accuracy": {"at_least": 0.999}},
    )
    conclusion = retrain(model="tiny", as_of=first_moment)
    assert [trial.recipe.kind for trial in conclusion.evidence.trials] == [kind["kind"] for kind in KINDS]
    assert all(0.4 < trial.mean <= 1 for trial in conclusion.evidence.trials)
    assert len(project.mlflow_runs()) == 1 + len(KINDS)


MEETING = """
import threading
from sklearn.linear_model import LogisticRegression

meeting, met = threading.Barrier(2), threading.Event()


class Sociable(LogisticRegression):
    def fit(self, X, y):
        if not met.is_set():
            meeting.wait(timeout=60)
            met.set()
        return super().fit(X, y)
"""


def test_the_final_model_is_fitted_beside_its_cross_validation(project, retrain, first_moment, monkeypatch):
    (project.folder / "sociable_estimator.py").write_text(MEETING)
    monkeypatch.syspath_prepend(str(project.folder))
    project.change(
        training__search={"refit": "all", "workers": 2},
        training__candidates=[{"kind": "custom", "estimator": "sociable_estimator:Sociable"}],
    )
    conclusion = retrain(model="tiny", as_of=first_moment)
    assert sys.modules["sociable_estimator"].met.is_set(), "fit and trial waited for each other, and met"
    assert conclusion.champion == 1
    (child,) = [run for run in project.mlflow_runs() if "mlflow.parentRunId" in run.data.tags]
    client = project.registry.tracking.client
    assert [file.path for file in client.list_artifacts(child.info.run_id)] == ["model"]


def test_what_the_form_offers(retrain):
    from prefect.utilities.callables import parameter_schema

    schema = parameter_schema(retrain.fn).model_dump()
    reason = schema["definitions"]["Reason"]
    assert reason["enum"] == [reason.value for reason in Reason]
    assert schema["required"] == ["model"]
    as_of = schema["properties"]["as_of"]
    assert {"type": "string", "format": "date-time"} in as_of["anyOf"]
    assert {"type": "null"} in as_of["anyOf"]
    assert all(part.get("description") for part in schema["properties"].values())
    json.dumps(schema)


@pytest.mark.parametrize("wrong", [{"reason": "boredom"}, {"as_of": "yesterday"}, {"surprise": 1}])
def test_a_wrong_parameter_is_refused_before_anything_runs(project, retrain, wrong):
    from prefect.exceptions import ParameterTypeError, SignatureMismatchError

    with pytest.raises((ParameterTypeError, SignatureMismatchError, TypeError)):
        retrain(model="tiny", **wrong)
    assert project.parents() == []
    assert project.decisions() == []


def test_an_error_of_a_stage_is_the_error_of_the_flow_and_all_that_its_state_says(project, retrain, first_moment):
    from evergreen.errors import DataError

    project.table.unlink()
    with pytest.raises(DataError, match=r"table\.csv: there is no such file"):
        retrain(model="tiny", as_of=first_moment)
    assert project.mlflow_runs() == []
    state = retrain(model="tiny", as_of=first_moment, return_state=True)
    assert state.is_failed()
    assert state.message.startswith("table.csv: there is no such file")
    assert "\n" not in state.message


def test_an_alert_is_shown_where_the_run_is(crowned, retrain, flow_run, second_moment):
    alert = {"share": 0.4, "columns": ["waited"], "severity": "critical", "sender_version": 2}
    retrain(model="tiny", reason="drift", as_of=second_moment, alert=alert, dry_run=True)
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        newest = max(client.read_flow_runs(), key=lambda run: run.created)
    assert newest.name.endswith("(dry run)")
    shown = flow_run(newest.id)["artifacts"]["tiny-decision"]
    assert "- drift alert: critical: 40 % of columns drifted (waited)" in shown
