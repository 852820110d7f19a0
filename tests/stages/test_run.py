"""Whole runs through the stages: a first champion, its twin, the one after it, and what changes nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from evergreen.data.paths import locate
from evergreen.gate.decision import DecisionKind, Reason
from evergreen.registry import provenance as tag


def test_a_first_model_becomes_champion_and_the_ledger_says_why(crowned, first_moment):
    (entry,) = crowned.ledger.entries(crowned.model)
    assert (entry.kind, entry.version, entry.champion_before, entry.champion_after) == (
        DecisionKind.PROMOTE,
        1,
        None,
        1,
    )
    assert entry.as_of == first_moment
    assert crowned.registry.aliases(crowned.model) == {"champion": 1}
    assert crowned.ledger.champion_at(crowned.model, entry.decided_at)[0] == 1
    assert {"accuracy", "against_champion", "beat_dummy", "rows", "smoke_test"} <= {c.name for c in entry.checks}


def test_tracking_ledger_and_version_name_each_other(crowned):
    (entry,), (parent,) = crowned.ledger.entries(crowned.model), crowned.parents()
    version = crowned.registry.version(crowned.model, 1)
    assert (entry.mlflow_run, version.run_id) == (parent.info.run_id, parent.info.run_id)
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["evergreen.decision"] == "PROMOTE"
    assert parent.data.tags["evergreen.ledger"] == str(entry.id)
    assert parent.data.tags["evergreen.version"] == "1"
    assert version.tags[tag.TRAINING_KEY] == entry.training_key
    assert version.tags[tag.SNAPSHOT] == entry.snapshot == version.snapshot
    assert version.digest == entry.model_digest
    assert version.trained_until is not None


def test_every_trial_is_a_child_run_with_its_parameters_and_scores(crowned):
    (parent,) = crowned.parents()
    children = [run for run in crowned.mlflow_runs() if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert sorted(run.data.params["C"] for run in children) == ["0.1", "1.0"]
    assert all({"accuracy_mean", "accuracy_std", "seconds"} <= run.data.metrics.keys() for run in children)


def test_what_a_run_found_is_kept_as_artifacts_of_its_mlflow_run(crowned):
    (parent,) = crowned.parents()
    client = crowned.registry.tracking.client
    folders = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert {"baseline", "plots", "reference", "report"} <= folders
    assert [file.path for file in client.list_artifacts(parent.info.run_id, "report")] == ["report/report.html"]
    assert parent.data.metrics["holdout_accuracy"] > 0.8
    assert parent.data.metrics["latency_p95_ms"] > 0


@pytest.mark.usefixtures("unabridged")
def test_a_month_later_an_equal_model_takes_over_and_the_old_one_is_kept(crowned, second_moment):
    conclusion = crowned.run(second_moment, Reason.SCHEDULED)
    assert conclusion.champion == 2
    assert crowned.registry.aliases(crowned.model) == {"champion": 2, "previous": 1}
    assert [crown.version for crown in crowned.ledger.history(crowned.model)] == [1, 2]
    evaluation = conclusion.evidence.evaluation
    assert evaluation.champion is not None
    assert evaluation.comparison is not None
    split, before = conclusion.evidence.split, crowned.registry.version(crowned.model, 1)
    assert before.trained_until < split.holdout_from, "the champion has never seen what both are scored on"
    report = [
        file.path
        for file in crowned.registry.tracking.client.list_artifacts(crowned.parents()[1].info.run_id, "report")
    ]
    assert len(report) == 3, "the page, and the drift report as HTML and as JSON"


def test_the_same_run_again_finds_its_twin_and_trains_nothing(crowned, first_moment):
    runs, production = len(crowned.mlflow_runs()), crowned.production()
    files, snapshots = crowned.files("artifacts"), crowned.files("snapshots").keys()
    conclusion = crowned.run(first_moment)
    assert conclusion.evidence.decision.kind is DecisionKind.SKIP
    assert conclusion.champion == 1
    assert len(crowned.mlflow_runs()) == runs
    assert crowned.files("artifacts") == files
    assert crowned.files("snapshots").keys() == snapshots
    assert conclusion.evidence.trials == ()
    assert conclusion.evidence.fitted is None
    assert crowned.production() == production
    assert crowned.decisions() == ["PROMOTE", "SKIP"]


def test_an_equal_twin_that_is_forced_ties_with_the_champion(crowned, first_moment):
    crowned.change(gates__against_champion={"metric": "accuracy", "margin": 0.0, "resamples": 200})
    conclusion = crowned.run(first_moment, force=True)
    comparison = conclusion.evidence.evaluation.comparison
    assert (comparison.difference, comparison.lower, comparison.upper) == (0.0, 0.0, 0.0)
    assert not any(trial.reused for trial in conclusion.evidence.trials)
    assert not conclusion.evidence.fitted.reused
    assert conclusion.evidence.decision.kind is DecisionKind.PROMOTE
    assert crowned.champion() == conclusion.champion == conclusion.evidence.registered.version


def test_another_gate_is_judged_anew_on_the_model_that_is_there(crowned, first_moment):
    crowned.change(gates__absolute={"accuracy": {"at_least": 0.999}})
    conclusion = crowned.run(first_moment)
    assert conclusion.evidence.fitted.reused
    assert all(trial.reused for trial in conclusion.evidence.trials)
    assert conclusion.evidence.decision.kind is DecisionKind.REJECT
    assert crowned.registry.versions(crowned.model) == (1,)
    assert crowned.champion() == 1


def test_without_any_check_nothing_is_ever_promoted(project):
    project.change(gates={})
    conclusion = project.run()
    assert conclusion.evidence.decision.kind is DecisionKind.HOLD
    assert "no check configured" in " ".join(conclusion.evidence.decision.reasons)
    assert project.registry.versions(project.model) == ()
    assert project.champion() is None


def test_a_run_for_drift_that_finds_none_is_skipped(crowned, second_moment):
    conclusion = crowned.run(second_moment, Reason.DRIFT)
    assert conclusion.evidence.decision.kind is DecisionKind.SKIP
    assert conclusion.evidence.drift.drifted == ()
    assert conclusion.evidence.trials == ()
    assert crowned.champion() == 1


def test_a_run_for_performance_needs_no_drift_and_its_reason_is_known(crowned, second_moment):
    conclusion = crowned.run(second_moment, Reason.PERFORMANCE)
    assert (conclusion.champion, conclusion.evidence.drift.drifted) == (2, ())
    assert crowned.ledger.entry(conclusion.ledger_id).reason is Reason.PERFORMANCE
    assert "performance" in Path(conclusion.page).read_text()


def test_a_dry_run_decides_and_changes_neither_registry_nor_ledger(crowned, second_moment):
    state = crowned.state()
    conclusion = crowned.run(second_moment, dry_run=True)
    assert conclusion.evidence.decision.kind is DecisionKind.PROMOTE
    assert (conclusion.champion, conclusion.ledger_id) == (1, None)
    assert crowned.state() == state
    assert crowned.parents()[-1].data.tags["evergreen.dry_run"] == "true"


def test_version_10_follows_version_9(crowned, second_moment):
    first, client = crowned.registry.version(crowned.model, 1), crowned.registry.tracking.client
    source = client.get_model_version(crowned.model, "1").source
    for _ in range(8):
        client.create_model_version(crowned.model, source, run_id=first.run_id, tags=first.tags)
    client.set_registered_model_alias(crowned.model, "champion", "9")
    (entry,) = crowned.ledger.entries(crowned.model)
    ninth = crowned.ledger.record(
        replace(entry, id=None, version=9, champion_before=1, champion_after=9, intention=None)
    )
    crowned.ledger.crown(ninth.id, crowned.model, 9, entry.decided_at)
    conclusion = crowned.run(second_moment)
    assert conclusion.report.champion_version == 9
    assert conclusion.champion == 10
    assert crowned.registry.versions(crowned.model)[:2] == (10, 9)
    assert crowned.registry.champion(crowned.model).version == 10


def test_two_models_in_one_home_do_not_meet(crowned, first_moment):
    crowned.change(model="other")
    conclusion = crowned.run(first_moment)
    assert conclusion.report.champion_version is None
    assert crowned.registry.aliases("other") == {"champion": 1}
    assert [entry.kind for entry in crowned.ledger.entries("tiny")] == [DecisionKind.PROMOTE]


@pytest.mark.parametrize("place", ["report"])
def test_the_page_of_a_run_exists_and_names_the_decision(crowned, place):
    (page,) = crowned.settings.reports.rglob("report.html")
    assert "PROMOTE" in page.read_text(encoding="utf-8")
    assert locate(str(page)) == str(page)
