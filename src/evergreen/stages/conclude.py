"""The end of a run: its report, and links between tracking, ledger and whoever started it."""

import logging
import shutil
from pathlib import Path

from evergreen.checks import to_markdown
from evergreen.gate.decision import DecisionKind
from evergreen.report.run import headline
from evergreen.settings import Settings
from evergreen.stages.describe import describe
from evergreen.stages.open import tracking_of
from evergreen.stages.run import Conclusion, Evidence, Job, reached
from evergreen.store.entry import LedgerEntry

log = logging.getLogger("evergreen.conclude")


def conclude(job: Job, evidence: Evidence, entry: LedgerEntry | None, settings: Settings) -> Conclusion:
    """Write the report into the home and into tracking, and say how the run ended."""
    from evergreen.report.page import write

    report = describe(job, evidence, entry)
    folder = settings.reports / job.spec.model / f"{job.run.request.as_of:%Y%m%dT%H%M%S}-{_stem(job)}"
    path = write(report, folder / "report.html")
    _link(job, evidence, entry, path, settings)
    # Matrices of folds are large and made again in seconds; trials and models stay, so that a new gate trains nothing.
    for folds in job.workspace.glob("folds-*"):
        shutil.rmtree(folds, ignore_errors=True)
    before = job.run.champion.version if job.run.champion else None
    champion = entry.champion_after if entry else before
    log.info("report      %s", path)
    return Conclusion(report, str(path), evidence, entry.id if entry else None, champion)


def to_text(conclusion: Conclusion) -> str:
    """The headline, the gate and the links, as Markdown."""
    report = conclusion.report
    links = [f"- {fact.name}: {f'[{fact.text}]({fact.url})' if fact.url else fact.text}" for fact in report.facts]
    return "\n".join([f"## {headline(report)}", "", *links, "", to_markdown(report.decision.checks)])


def labels(conclusion: Conclusion) -> list[str]:
    """What an orchestrator's list of runs is searched by: model, decision, version, tracking run."""
    report = conclusion.report
    found = [report.model, report.decision.kind.value]
    if report.version is not None:
        found.append(f"version {report.version}")
    return found + [f"mlflow {fact.text}" for fact in report.facts if fact.name == "MLflow run"]


def _link(job: Job, evidence: Evidence, entry: LedgerEntry | None, page: Path, settings: Settings) -> None:
    if job.tracking is None:
        return
    tracking, run_id, drift = tracking_of(settings), job.tracking.run_id, evidence.drift
    files = [page, *(Path(p) for p in (drift.report, drift.data) if p)] if drift else [page]
    tracking.log_artifacts(run_id, files, "report")
    tags = {"evergreen.decision": reached(evidence.decision).kind.value}
    if entry is not None:
        tags["evergreen.ledger"] = str(entry.id)
    if evidence.registered is not None and evidence.decided(DecisionKind.PROMOTE):
        tags["evergreen.version"] = str(evidence.registered.version)
    tracking.log_tags(run_id, tags)


def _stem(job: Job) -> str:
    return job.tracking.run_id[:8] if job.tracking else f"twin-{job.key[:8]}"
