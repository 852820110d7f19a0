"""What a report is made of. A run may stop early: parts that were not reached are None or empty."""

from dataclasses import dataclass
from datetime import datetime

from evergreen.checks import Check
from evergreen.data.snapshot import Snapshot
from evergreen.drift.result import DriftResult
from evergreen.evaluation.result import Evaluation
from evergreen.gate.decision import Decision, DecisionKind, Reason
from evergreen.training.handles import FittedModel, RowSplit, TrialResult

# The stage whose checks are many, and worth reading only where they do not pass.
VALIDATE = "validate"


@dataclass(frozen=True)
class Fact:
    """A line under the headline; with `url` a link."""

    name: str
    text: str
    url: str | None = None


@dataclass(frozen=True)
class RunReport:
    """One run, for people. `version` is the registered challenger, `champion_version` the one it was measured against.

    `facts` are further lines (run ids, code, person); `warnings` are checks that never stop a run.
    """

    model: str
    as_of: datetime
    reason: Reason
    decision: Decision
    description: str = ""
    owner: str = ""
    dry_run: bool = False
    version: int | None = None
    champion_version: int | None = None
    snapshot: Snapshot | None = None
    warnings: tuple[Check, ...] = ()
    drift: DriftResult | None = None
    split: RowSplit | None = None
    trials: tuple[TrialResult, ...] = ()
    fitted: FittedModel | None = None
    evaluation: Evaluation | None = None
    facts: tuple[Fact, ...] = ()

    @property
    def gate(self) -> tuple[Check, ...]:
        """The decision's checks, without those of the snapshot that pass: they would hide the others."""
        return tuple(check for check in self.decision.checks if not _is_quiet(check))

    @property
    def quiet(self) -> tuple[Check, ...]:
        """Checks of the snapshot that pass."""
        return tuple(check for check in self.decision.checks if _is_quiet(check))


def _is_quiet(check: Check) -> bool:
    return check.passed and check.stage == VALIDATE


_VERBS = {
    DecisionKind.PROMOTE: "may replace the champion",
    DecisionKind.HOLD: "waits for a person",
    DecisionKind.REJECT: "is rejected",
    DecisionKind.SKIP: "was not retrained",
}


def headline(report: RunReport) -> str:
    """The decision and its main reason in one sentence."""
    kind, reasons = report.decision.kind, report.decision.reasons
    verb = _VERBS[kind]
    if kind is DecisionKind.PROMOTE and report.champion_version is None:
        verb = "may become the first champion"
    subject = report.model if kind is DecisionKind.SKIP else f"The {report.model} challenger"
    if report.evaluation is None and kind is DecisionKind.HOLD:
        subject = f"The run of {report.model}"
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return f"{subject} {verb}: {reasons[0]}{more}" if reasons else f"{subject} {verb}"
