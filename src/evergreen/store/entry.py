"""A row of the ledger."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from evergreen.checks import Check
from evergreen.gate.decision import DecisionKind, Reason


class Cause(StrEnum):
    """What made a decision be written: a run's own judgement, or something that happened to an earlier decision."""

    RUN = "run"
    APPROVAL = "approval"  # a person approved or rejected what was held
    TIMEOUT = "timeout"  # nobody did in time, or its canary came to no verdict
    CANARY = "canary"  # its trial on real requests ended in a verdict
    ROLLBACK = "rollback"  # a person went back to an earlier champion
    WATCH = "watch"  # a promotion that broke a condition while its canary watched it was gone back from
    RECONCILE = "reconcile"  # a promotion that never took effect was withdrawn
    ADOPTION = "adoption"  # somebody moved the alias by hand, and the version there became champion of the ledger
    RESTORATION = "restoration"  # somebody moved or deleted the alias by hand, and it was put back


RETURNS = (Cause.ROLLBACK, Cause.WATCH)
"""What goes back to an earlier champion: a person, whom no pin stops, and the watch, which heeds pins."""


@dataclass(frozen=True)
class LedgerEntry:
    """One decision, written once and never changed.

    `id` is None until written. `champion_before` and `champion_after` are versions; they are equal where the
    champion stayed. Times are aware, in UTC: `as_of` is what the run looked from, `decided_at` when it decided.
    `model_digest` is the digest of the model artifact that is decided on: of `version` where there is one, and nothing
    else is loaded under that version. `resolves` is the held decision that this one answers; a decision is answered
    once. `fence` is the number of the reign that the challenger was measured against (see Ledger.fence), `intention`
    what was written before its version was registered.
    """

    model: str
    kind: DecisionKind
    reasons: tuple[str, ...]
    checks: tuple[Check, ...]
    reason: Reason
    as_of: datetime
    decided_at: datetime
    decided_by: str
    training_key: str | None = None
    snapshot: str | None = None
    spec_digest: str | None = None
    code: str | None = None
    mlflow_run: str | None = None
    flow_run: str | None = None
    version: int | None = None
    champion_before: int | None = None
    champion_after: int | None = None
    id: int | None = None
    model_digest: str | None = None
    cause: Cause = Cause.RUN
    resolves: int | None = None
    fence: int | None = None
    intention: int | None = None

    @property
    def retrained_for_drift(self) -> bool:
        """True where a run that was started for drift decided by itself, after it had found some.

        Not for what people, or the time, made of such a decision later on.
        """
        return self.cause is Cause.RUN and self.reason is Reason.DRIFT and self.kind is not DecisionKind.SKIP


@dataclass(frozen=True)
class Intention:
    """What is about to be registered, written before it is: a version that nobody decided on yet is known by it.

    `champion_before` and `fence` are the champion that the challenger was measured against and the number of its reign.
    """

    model: str
    training_key: str
    mlflow_run: str
    model_digest: str
    champion_before: int | None
    fence: int
    at: datetime
    id: int | None = None


@dataclass(frozen=True)
class Crown:
    """A version became champion of a model, `at` an aware moment in UTC, by a decision."""

    decision_id: int
    model: str
    version: int
    at: datetime
