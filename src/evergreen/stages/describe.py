"""What a run has to tell, for the page, the summary and the model card."""

from evergreen.report.run import Fact, RunReport
from evergreen.stages.run import Evidence, Job, reached
from evergreen.store.entry import LedgerEntry


def describe(job: Job, evidence: Evidence, entry: LedgerEntry | None) -> RunReport:
    """Everything that the page and the summary show."""
    request, champion = job.run.request, job.run.champion
    return RunReport(
        model=job.spec.model,
        as_of=request.as_of,
        reason=request.reason,
        decision=reached(evidence.decision),
        description=job.spec.description,
        owner=job.spec.owner,
        dry_run=request.dry_run,
        version=evidence.registered.version if evidence.registered else None,
        champion_version=champion.version if champion else None,
        snapshot=job.snapshot,
        warnings=evidence.warnings,
        drift=evidence.drift,
        split=evidence.split,
        trials=evidence.trials,
        fitted=evidence.fitted,
        evaluation=evidence.evaluation,
        facts=tuple(_facts(job, entry)),
    )


def _facts(job: Job, entry: LedgerEntry | None) -> list[Fact]:
    origin, tracking = job.run.origin, job.tracking
    facts = [Fact("started by", origin.user), Fact("training key", job.key[:16])]
    if job.run.request.alert is not None:
        facts.append(Fact("drift alert", job.run.request.alert.to_text()))
    if entry is not None:
        facts.append(Fact("ledger", f"decision {entry.id}"))
    if tracking is not None:
        facts.append(Fact("MLflow run", tracking.run_id, tracking.url))
    if origin.flow_run is not None:
        facts.append(Fact("Prefect run", origin.flow_run, origin.flow_run_url))
    return facts
