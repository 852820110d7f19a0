"""Retrain a model: look at its data, find a challenger, compare it with the champion, decide, promote what passed."""

from datetime import datetime
from typing import Any

from prefect import flow
from prefect.states import State

from evergreen.drift.alert import DriftAlert
from evergreen.errors import EvergreenError
from evergreen.gate.decision import DecisionKind, Reason
from evergreen.orchestrator.form import ModelName
from evergreen.settings import Settings
from evergreen.stages.run import Conclusion, Evidence, Job
from evergreen.stages.track import track
from evergreen.stages.turn import Turn
from evergreen.training.handles import FittedModel, TrialResult
from evergreen.training.recipes import best, select
from tasks.assess_drift import assess_drift
from tasks.choose_runner import choose_runner
from tasks.conclude_run import conclude_run
from tasks.cross_validate_recipe import cross_validate_recipe
from tasks.drop_run import drop_run
from tasks.encode_rows import encode_rows
from tasks.end_flow import end_flow
from tasks.evaluate_models import evaluate_models
from tasks.fail_flow import fail_flow
from tasks.find_twin import find_twin
from tasks.fit_model import fit_model
from tasks.judge_challenger import judge_challenger
from tasks.load_snapshot import load_snapshot
from tasks.log_challenger import log_challenger
from tasks.open_run import open_run
from tasks.plan_search import plan_search
from tasks.prepare_job import prepare_job
from tasks.promote_version import promote_version
from tasks.record_decision import record_decision
from tasks.register_version import register_version
from tasks.smoke_test_version import smoke_test_version
from tasks.split_rows import split_rows
from tasks.take_turn import take_turn
from tasks.validate_snapshot import validate_snapshot


@flow(name="retrain", flow_run_name="{model}-{reason}")
def retrain(
    model: ModelName,
    reason: Reason = Reason.MANUAL,
    as_of: datetime | None = None,
    dry_run: bool = False,
    force: bool = False,
    alert: DriftAlert | None = None,
) -> "State[Any]":
    """Retrain a model, compare it with its champion, and promote it if the evidence allows.

    A run that is called directly returns its Conclusion, or raises what stopped it.

    Args:
        model: Which model, by the name of its spec in configs/.
        reason: Why the run is started. A run for drift ends early where nothing drifted.
        as_of: The moment to look from; when the run was due, if left out.
        dry_run: Decide and report, but change neither registry nor ledger.
        force: Train again even where the same data, spec and code were decided on before.
        alert: What was seen, where a drift alert started the run. People leave it out.
    """
    try:
        with take_turn(model, reason, as_of, alert, dry_run=dry_run, force=force) as turn:
            return end_flow(drop_run(turn) if turn.dropped else make_run(turn))
    except EvergreenError as error:
        return fail_flow(error)


def make_run(turn: Turn) -> Conclusion:
    """The picture: data, challenger, gate, registry, ledger, production."""
    run = open_run(turn)
    job = prepare_job(run, load_snapshot(run))
    evidence = look_at_data(job)
    with track(job, evidence, Settings.from_environment()) as job:
        if not evidence.decision:
            evidence = judge_challenger(job, find_challenger(job, evidence))
        if evidence.passed_gate:
            evidence = smoke_test_version(register_version(job, evidence))
        entry = record_decision(job, evidence)
        if evidence.decided(DecisionKind.PROMOTE):
            promote_version(entry)
        return conclude_run(job, evidence, entry)


def look_at_data(job: Job) -> Evidence:
    """Validate, measure drift, and see whether the same was asked before. Whatever settles the run ends it here."""
    evidence = validate_snapshot(job)
    if not evidence.decision:
        evidence = assess_drift(job, evidence)
    if not evidence.decision:
        evidence = find_twin(job, evidence)
    return evidence


def find_challenger(job: Job, evidence: Evidence) -> Evidence:
    """Search for the best recipe, fit it, and score it beside the champion."""
    evidence, models = search_recipes(job, evidence)
    return evaluate_models(job, log_challenger(job, evidence, models))


def search_recipes(job: Job, evidence: Evidence) -> tuple[Evidence, dict[str, FittedModel]]:
    """Try recipes on folds and fit the best on all training rows.

    Where every recipe gets a final model, or there is only one to choose from, it is fitted beside its trial.
    """
    training, split = job.spec.training, split_rows(job)
    search = plan_search(job, split)
    at_once = search.recipes if training.search.refit == "all" or len(search.recipes) == 1 else ()
    with choose_runner(job) as runner:
        fits = {r.key: runner.submit(fit_model, {"job": job, "split": split, "recipe": r}) for r in at_once}
        encodings = {recipe.encoding for recipe in search.recipes}
        encoded = {
            e: runner.submit(encode_rows, {"job": job, "split": split, "encoding": e}) for e in sorted(encodings)
        }
        folds = {encoding: future.result() for encoding, future in encoded.items()}
        trials: list[TrialResult] = []
        survivors = search.recipes
        for rung in search.rungs:
            parameters = [{"job": job, "recipe": r, "folds": folds[r.encoding], "share": rung.share} for r in survivors]
            futures = [runner.submit(cross_validate_recipe, p) for p in parameters]
            results = [future.result() for future in futures]
            trials += results
            survivors = select(results, rung, training.metric)
        models = {key: future.result() for key, future in fits.items()}
    winner = best(results, training.metric).recipe
    fitted = models.get(winner.key) or fit_model(job, split, winner)
    return evidence.add(split=split, trials=tuple(trials), fitted=fitted), models
