"""What a run is about, and what it has found so far."""

import getpass
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from evergreen.checks import Check
from evergreen.data.snapshot import Snapshot
from evergreen.drift.result import DriftResult
from evergreen.evaluation.result import Evaluation
from evergreen.gate.decision import Decision, Reason
from evergreen.registry.handles import Champion, LoggedModel, Registered, RunHandle
from evergreen.spec.model import ModelSpec
from evergreen.training.handles import FittedModel, RowSplit, TrialResult


@dataclass(frozen=True)
class Origin:
    """Who or what started a run: an orchestrator's run, and a person or service account."""

    flow_run: str | None = None
    flow_run_url: str | None = None
    user: str = field(default_factory=getpass.getuser)


@dataclass(frozen=True)
class Run:
    """The question of a run. `champion` is the one the challenger will be measured against; None is the first run."""

    spec: ModelSpec
    as_of: datetime
    reason: Reason
    dry_run: bool
    force: bool
    champion: Champion | None
    origin: Origin


@dataclass(frozen=True)
class Job:
    """A run that has data and a tracking run: what every later stage is given.

    `folder` is the scratch space of this training key; finished work is found there again after an interruption.
    """

    run: Run
    snapshot: Snapshot
    key: str
    tracking: RunHandle
    folder: str
    code: str

    @property
    def spec(self) -> ModelSpec:
        """The spec of the run."""
        return self.run.spec

    @property
    def workspace(self) -> Path:
        """The scratch folder as a path."""
        return Path(self.folder)


@dataclass(frozen=True)
class Evidence:
    """What the stages have found; parts that were not reached are None or empty."""

    validation: tuple[Check, ...] = ()
    warnings: tuple[Check, ...] = ()
    drift: DriftResult | None = None
    split: RowSplit | None = None
    trials: tuple[TrialResult, ...] = ()
    fitted: FittedModel | None = None
    logged: LoggedModel | None = None
    evaluation: Evaluation | None = None
    registered: Registered | None = None

    def add(self, **parts: Any) -> "Evidence":
        """The same evidence with more of it."""
        return replace(self, **parts)


@dataclass(frozen=True)
class Conclusion:
    """How a run ended: what the caller prints and the orchestrator returns."""

    model: str
    as_of: datetime
    decision: Decision
    ledger_id: int | None = None
    version: int | None = None
    champion_before: int | None = None
    tracking: RunHandle | None = None
    report: str | None = None
    evidence: Evidence = Evidence()
