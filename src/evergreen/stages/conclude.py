"""The end of a run: its report, and links between tracking, ledger and whoever started it."""

import logging
import shutil
from datetime import datetime
from pathlib import Path

from evergreen.checks import to_markdown
from evergreen.gate.decision import DecisionKind
from evergreen.report.run import headline
from evergreen.settings import Settings
from evergreen.stages.describe import describe
from evergreen.stages.open import tracking_of
from evergreen.stages.promote import trial_of
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
    number, until = entry.id if entry else None, _answer_by(job, evidence, entry)
    tried = entry is not None and trial_of(job, evidence) is not None
    return Conclusion(report, str(path), evidence, number, champion, answer_by=until, tried=tried)


def to_text(conclusion: Conclusion, form: str | None = None) -> str:
    """The headline, how to answer what is held, the links and the gate, as Markdown.

    `form` is where an orchestrator takes answers, if it does.
    """
    report = conclusion.report
    links = [f"- {fact.name}: {f'[{fact.text}]({fact.url})' if fact.url else fact.text}" for fact in report.facts]
    table = [to_markdown(report.decision.checks)] if report.decision.checks else []
    return "\n".join([f"## {headline(report)}", "", *_how_to_answer(conclusion, form), *links, "", *table])


def outcome(conclusion: Conclusion) -> str:
    """The decision in two or three words, for lists of runs: `PROMOTE version 3`, `HOLD decision 12`, `dropped`."""
    kind, version = conclusion.report.decision.kind, conclusion.report.version
    if conclusion.dropped:
        return "dropped"
    words = [kind.value]
    if kind is DecisionKind.PROMOTE and version is not None:
        words.append(f"version {version}")
    if conclusion.answer_by is not None:
        words.append(f"decision {conclusion.ledger_id}")
    return " ".join([*words, "(dry run)"] if conclusion.report.dry_run else words)


def artifact_key(model: str, name: str) -> str:
    """The key under which an orchestrator shows a part of a model's runs: lower case, dashes.

    >>> artifact_key("One_Customer", "gate")
    'one-customer-gate'
    """
    return f"{model}-{name}".lower().replace("_", "-")


def labels(conclusion: Conclusion) -> list[str]:
    """What an orchestrator's list of runs is searched by: model, decision, version, tracking run."""
    report = conclusion.report
    found = [report.model, report.decision.kind.value]
    if report.version is not None:
        found.append(f"version {report.version}")
    if conclusion.dropped:
        found.append("dropped")
    return found + [f"mlflow {fact.text}" for fact in report.facts if fact.name == "MLflow run"]


def _how_to_answer(conclusion: Conclusion, form: str | None) -> list[str]:
    if conclusion.answer_by is None:
        return []
    number, until = conclusion.ledger_id, f"{conclusion.answer_by:%Y-%m-%d %H:%M} UTC"
    if conclusion.tried:
        how = f"`evergreen canary {conclusion.report.model}`"
        return [
            f"**It is tried on real requests**, until {until} at the latest; {how} shows how it does.",
            f"`evergreen approve {number} --why …` or `evergreen reject {number} --why …` end that at once.",
            "",
        ]
    where = f", or the [form]({form}) with decision {number}" if form else ""
    return [
        f"**A person decides until {until}**; without an answer the challenger is rejected.",
        f"`evergreen approve {number} --why …` or `evergreen reject {number} --why …`{where}.",
        "",
    ]


def _answer_by(job: Job, evidence: Evidence, entry: LedgerEntry | None) -> datetime | None:
    """Until when a person can approve, or its trial lasts; None where there is no challenger that waits."""
    if entry is None or entry.kind is not DecisionKind.HOLD or evidence.logged is None:
        return None
    trial = trial_of(job, evidence)
    return entry.decided_at + (trial.within if trial else job.spec.promotion.approve_within)


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
