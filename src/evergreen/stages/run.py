"""What a run is about, and what it has found so far."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from evergreen.checks import Check
from evergreen.data.snapshot import Snapshot
from evergreen.drift.alert import DriftAlert
from evergreen.drift.result import DriftResult
from evergreen.errors import UserError
from evergreen.evaluation.result import Evaluation
from evergreen.gate.decision import Decision, DecisionKind, Reason
from evergreen.registry.handles import Champion, LoggedModel, Registered, RunHandle
from evergreen.report.run import RunReport
from evergreen.spec.model import ModelSpec
from evergreen.training.handles import FittedModel, RowSplit, TrialResult

Part = TypeVar("Part")

# Clocks of two machines differ.
_CLOCKS = timedelta(minutes=1)


def reached(part: Part | None) -> Part:
    """A part of the evidence that a stage builds on; raises ValueError where no stage has found it.

    >>> reached(7)
    7
    """
    if part is None:
        raise ValueError("a stage was called before the one that it builds on")
    return part


def require_past(moment: datetime, now: datetime, name: str) -> None:
    """Raise UserError for a moment that is still to come: labels that nobody can know yet would count as known.

    Both are aware; `name` is what the caller calls the moment.
    """
    if moment > now + _CLOCKS:
        came = f"{moment:%Y-%m-%d %H:%M} UTC has not come yet (it is {now:%Y-%m-%d %H:%M} UTC)"
        raise UserError(f"{name}: {came}; name a moment of the past")


@dataclass(frozen=True)
class Request:
    """What was asked for: which spec of the folder, looking from when, and why. `as_of` is aware.

    `alert` is what was seen by whoever raised the alarm that the run answers.
    """

    spec: str
    as_of: datetime
    reason: Reason
    dry_run: bool = False
    force: bool = False
    alert: DriftAlert | None = None

    @property
    def has_to_find_drift(self) -> bool:
        """True where drift is the reason and is only said to be there; monitoring has measured what it reports."""
        return self.reason is Reason.DRIFT and (self.alert is None or self.alert.version is None)


@dataclass(frozen=True)
class Origin:
    """Who started a run, the commit of the project, and the orchestrator's run that carries it."""

    user: str
    commit: str | None = None
    flow_run: str | None = None
    flow_run_url: str | None = None


@dataclass(frozen=True)
class Run:
    """The question of a run. `champion` is the one the challenger is measured against; None on the first run.

    `fence` is the number of its reign: a champion that left and came back since has another one.
    """

    request: Request
    spec: ModelSpec
    champion: Champion | None
    origin: Origin
    fence: int = 0


@dataclass(frozen=True)
class Evidence:
    """What the stages have found. What was not reached is None or empty; `decision` settles the run.

    `remarks` go to the ledger beside the decision's own reasons, whatever it is.
    """

    validation: tuple[Check, ...] = ()
    warnings: tuple[Check, ...] = ()
    drift: DriftResult | None = None
    split: RowSplit | None = None
    trials: tuple[TrialResult, ...] = ()
    fitted: FittedModel | None = None
    logged: LoggedModel | None = None
    evaluation: Evaluation | None = None
    decision: Decision | None = None
    registered: Registered | None = None
    intention: int | None = None
    remarks: tuple[str, ...] = ()

    def add(self, **parts: Any) -> "Evidence":
        """The same evidence with more of it."""
        return replace(self, **parts)

    @property
    def passed_gate(self) -> bool:
        """True where a challenger passed every check, whether it is promoted at once or waits for a person."""
        return self.logged is not None and self.decision is not None and all(c.passed for c in self.decision.checks)

    def decided(self, kind: DecisionKind) -> bool:
        """True where this is the decision."""
        return self.decision is not None and self.decision.kind is kind


@dataclass(frozen=True)
class Job:
    """A run that has data: what every later stage is given.

    `key` names the training (see evergreen.training.key); `folder` is its scratch space, where finished work is found
    again. `tracking` is None until something is to be tracked, and stays so for a run that is skipped.
    """

    run: Run
    snapshot: Snapshot
    key: str
    folder: str
    code: str
    tracking: RunHandle | None = None

    @property
    def spec(self) -> ModelSpec:
        """The spec of the run."""
        return self.run.spec

    def artifact(self, name: str) -> str:
        """The key under which an orchestrator shows a part of this model's runs: lower case, dashes."""
        return f"{self.spec.model}-{name}".lower().replace("_", "-")

    @property
    def workspace(self) -> Path:
        """The scratch folder as a path."""
        return Path(self.folder)


@dataclass(frozen=True)
class Conclusion:
    """How a run ended: what the caller prints and the orchestrator returns.

    `page` is the path of the report, `champion` the version in production afterwards; `ledger_id` is None for a dry
    run. A run that was `dropped` never started and has no page. `answer_by` is until when a person can approve what is
    held; None where there is nothing to approve. What is `tried` on real requests is decided by them, then or before.
    """

    report: RunReport
    page: str
    evidence: Evidence
    ledger_id: int | None = None
    champion: int | None = None
    dropped: bool = False
    answer_by: datetime | None = None
    tried: bool = False
