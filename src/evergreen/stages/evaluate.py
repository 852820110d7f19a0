"""Challenger and champion on the same holdout, with the same code."""

import logging
from typing import TYPE_CHECKING, Any

from evergreen.data.frame import read_snapshot
from evergreen.drift.check import drift_checks
from evergreen.evaluation.evaluate import EvaluationRules, evaluate
from evergreen.evaluation.predict import Contender, Holdout, answer
from evergreen.gate.judge import decide, judge
from evergreen.registry.provenance import DRAW
from evergreen.registry.reference import log_reference
from evergreen.registry.versions import said_of_pin
from evergreen.settings import Settings
from evergreen.spec.columns import PREDICTION, ColumnType
from evergreen.spec.model import ModelSpec
from evergreen.stages.assess import load_champion, with_derived
from evergreen.stages.baseline import as_column, keep_baseline
from evergreen.stages.open import tracking_of
from evergreen.stages.run import Evidence, Job, reached
from evergreen.training.fit import load_model
from evergreen.training.search import best
from evergreen.training.split import read_positions

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("evergreen.evaluate")


def evaluate_models(job: Job, evidence: Evidence, settings: Settings) -> Evidence:
    """Score both models on the holdout and keep what the challenger is measured by on the day it is champion."""
    split = reached(evidence.split)
    spec, tracking = job.spec, tracking_of(settings)
    train, held_out = read_positions(split)
    challenger, champion = _challenger(evidence), _champion(job, settings)
    holdout = _holdout(job, held_out, split.draw)
    rules = EvaluationRules(spec.task, spec.training.metric, spec.gates.against_champion, spec.gates.slices)
    target = read_snapshot(job.snapshot.path, [spec.data.target], train)[spec.data.target]
    result = evaluate(holdout, challenger, champion, rules, target, job.workspace / "plots")
    tracking.log_metrics(reached(job.tracking).run_id, _metrics(result.challenger.metrics, result))
    tracking.log_artifacts(reached(job.tracking).run_id, result.plots, "plots")
    said = answer(challenger, holdout.frame)
    _keep_reference(job, train, challenger.model, as_column(said, holdout.frame), settings)
    keep_baseline(job, holdout, said, result, settings)
    log.info("evaluate    %s", _summary(result))
    return evidence.add(evaluation=result)


def judge_challenger(job: Job, evidence: Evidence, settings: Settings) -> Evidence:
    """Put every configured check to the evidence and decide. A pinned champion is not replaced by itself."""
    quality = judge(reached(evidence.evaluation), job.spec.gates)
    drift = drift_checks(evidence.drift, job.spec.drift, job.run.request.has_to_find_drift)
    pinned = said_of_pin(settings.store_url, job.spec.model)
    # A first champion has nobody to be tried beside, and no traffic that is anybody else's.
    mode = "automatic" if job.spec.promotion.trial and job.run.champion is None else job.spec.promotion.mode
    decision = decide(quality, mode, (*evidence.validation, *drift), pinned)
    log.info("gate        %s: %s", decision.kind, "; ".join(decision.reasons))
    return evidence.add(decision=decision)


def _challenger(evidence: Evidence) -> Contender:
    fitted, logged = reached(evidence.fitted), reached(evidence.logged)
    scored = best([t for t in evidence.trials if t.recipe == fitted.recipe], evidence.trials[0].metric)
    model = load_model(fitted.path, fitted.digest)
    return Contender(model, size_mb=logged.size_mb, cross_validated=scored.mean)


def _champion(job: Job, settings: Settings) -> Contender | None:
    champion = job.run.champion
    if champion is None:
        return None
    model = load_champion(job, champion, settings)
    return Contender(model, champion.version, champion.trained_until, draw=champion.tags.get(DRAW, ""))


def _holdout(job: Job, positions: Any, draw: str) -> Holdout:
    spec = job.spec
    frame = read_snapshot(job.snapshot.path, list(spec.column_types), positions)
    times = frame[spec.data.time_column] if spec.time_ordered and spec.data.time_column else None
    return Holdout(frame, frame[spec.data.target], times, draw)


def _keep_reference(job: Job, train: Any, model: Any, answers: "pd.Series", settings: Settings) -> None:
    """Profile inputs and target on the training rows, answers on the holdout: of what it learnt, a model is too sure.

    In the sample, which only pictures are drawn from, the answers stand beside rows that they do not belong to.
    """
    from evergreen.drift.profile import Profile, build_profile
    from evergreen.drift.report import sample_rows

    rules, types = job.spec.drift, _compared_types(job.spec)
    frame = _read_compared(job, train, model)
    learnt = build_profile(frame, types)
    kind: ColumnType = "number" if answers.dtype.kind == "f" else "category"
    said = build_profile(answers.to_frame(), {PREDICTION: kind})
    profile = Profile(learnt.rows, {**learnt.columns, **said.columns})
    sample = sample_rows(frame, rules.sample, rules.seed).reset_index(drop=True)
    drawn = answers.sample(len(sample), replace=True, random_state=rules.seed).to_numpy()
    reference, stored = job.workspace / "reference.parquet", job.workspace / "profile.json"
    sample.assign(**{PREDICTION: drawn}).to_parquet(reference)
    stored.write_text(profile.to_json(), encoding="utf-8")
    log_reference(tracking_of(settings), reached(job.tracking).run_id, reference, stored)


def _compared_types(spec: ModelSpec) -> dict[str, ColumnType]:
    """Inputs and target as they are compared, with their types."""
    types = spec.column_types
    return {name: types[name] for name in (*spec.compared_sources, spec.data.target)} | spec.compared_derived


def _read_compared(job: Job, rows: Any, model: Any) -> "pd.DataFrame":
    """Inputs and target of some rows, as the model is given them or derives them."""
    spec = job.spec
    made = spec.compared_derived
    columns = dict.fromkeys([*(spec.raw_inputs if made else spec.compared_sources), spec.data.target])
    frame = read_snapshot(job.snapshot.path, list(columns), rows)
    return with_derived(frame, model, made)[list(_compared_types(spec))]


def _metrics(metrics: dict[str, float | None], result: Any) -> dict[str, float | None]:
    champion = result.champion.metrics if result.champion else {}
    scores = result.challenger
    return {
        **{f"holdout_{name}": value for name, value in metrics.items()},
        **{f"champion_{name}": value for name, value in champion.items()},
        "cross_validated": result.cross_validated,
        "dummy": result.dummy,
        "latency_p95_ms": scores.latency_p95_ms,
        "size_mb": scores.size_mb,
    }


def _summary(result: Any) -> str:
    value = result.challenger.metrics[result.metric]
    text = f"challenger {result.metric} {value:.4f}" if value is not None else f"{result.metric} not measurable"
    if result.champion is None or result.champion.metrics[result.metric] is None:
        return f"{text} on {result.rows:,} rows"
    return f"{text}, champion {result.champion.metrics[result.metric]:.4f} on {result.rows:,} rows"
