"""What came true: the loss of labelled answers against the champion's loss on its holdout."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.checks import Outcome
from evergreen.evaluation.baseline import Loss, row_losses
from evergreen.evaluation.betting import Stretch, strongest_stretch
from evergreen.evaluation.outputs import FloatArray
from evergreen.evaluation.sequential import mean_interval
from evergreen.evaluation.totals import Losses
from evergreen.monitoring.answered import read_answers
from evergreen.spec.monitoring import RealisedRules
from evergreen.store.window import Signal, SignalKind

if TYPE_CHECKING:
    import pyarrow as pa

# A start every few labels would spend the error on stretches that say nothing.
_LEAST_STEP = 50
_FEW = 0.5


@dataclass(frozen=True, eq=False)
class Seen:
    """What is known beside labelled answers.

    `answered` counts all answers that are old enough for a label, labelled or not. `expected` is what the estimate
    expects of each labelled row (`Estimator.expected`), in their order.
    """

    answered: int | None = None
    label_delay: timedelta = timedelta(0)
    expected: FloatArray | None = None


def realised_loss(
    answers: "pa.Table", holdout: Loss, rules: RealisedRules, metric: str, seen: Seen | None = None
) -> Signal:
    """The loss of every labelled answer since the champion took over, as `Traffic.labelled` gives them, in any order.

    It fails when the loss is over its bound for certain: since the champion took over, or since a later moment, so that
    years of good answers do not hide a bad week. The certainty is of all looks and all moments together. It assumes
    that a row's loss has a mean of at most the bound, whatever came before: where hard and easy days take turns, the
    margin has to cover the hard ones.
    """
    seen = seen or Seen()
    losses, matured = _in_order(answers, metric, seen.label_delay)
    known = np.isfinite(losses)
    losses, matured = losses[known], matured[known]
    alpha = (1 - rules.confidence) / 2
    bound = _bound(holdout, rules.margin, alpha, metric)
    if len(losses) < rules.min_labels:
        why = f"{len(losses):,} labels are in, {rules.min_labels:,} are needed"
        return Signal(
            SignalKind.REALISED, Outcome.UNKNOWN, why, bound=bound, details=_facts(holdout, metric, losses, seen)
        )
    found = strongest_stretch(losses, bound, alpha, max(rules.min_labels, _LEAST_STEP))
    return _judge(losses, matured, found, bound, _facts(holdout, metric, losses, seen))


def _judge(losses: FloatArray, matured: Any, found: Stretch, bound: float, facts: dict[str, Any]) -> Signal:
    raised = found.lower > bound
    start = found.start if raised else 0
    part = losses[start:]
    return Signal(
        SignalKind.REALISED,
        Outcome.FAIL if raised else Outcome.PASS,
        f"{part.mean():.4g}",
        float(part.mean()),
        bound,
        details=facts,
    )


def _bound(holdout: Loss, margin: float, alpha: float, metric: str) -> float:
    return holdout.mean * (1 + margin)


def _facts(holdout: Loss, metric: str, losses: FloatArray, seen: Seen) -> dict[str, Any]:
    return {"metric": metric}


def _in_order(answers: "pa.Table", metric: str, delay: timedelta) -> tuple[FloatArray, Any]:
    """Losses in the order in which they could be looked at first, and when that was (naive UTC)."""
    losses = row_losses(read_answers(answers, metric in ("mae", "mse")), metric)
    known, at = (answers[name].to_numpy().astype("datetime64[us]") for name in ("label_at", "at"))
    matured = np.maximum(known, at + np.timedelta64(delay))
    order = np.lexsort((at, matured))
    return losses[order], matured[order]
