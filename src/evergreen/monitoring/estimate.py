"""The loss of answers whose labels are not in yet, from what the champion said about its holdout.

Of classes it is the loss that the model's own probabilities make one expect, once they are calibrated on the holdout:
confidence-based performance estimation (Guillory, Shankar, Ebrahimi, Darrell and Schmidt, Predicting with confidence on
unseen distributions, ICCV 2021; NannyML's CBPE). Garg, Balakrishnan, Lipton, Neyshabur and Sedghi (Leveraging unlabeled
data to predict out-of-distribution performance, ICLR 2022) show that no such estimate is right for every shift. Of
numbers it is what a second model, which learnt the champion's errors on the holdout, expects: direct loss estimation
(NannyML's DLE).

Either one sees that the data moved to where the model is weak. **Neither sees that the rule behind the data changed
(concept drift)**: where the same inputs have other labels now, the estimate stays where it was. Labels alone tell.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.checks import Outcome
from evergreen.evaluation.baseline import Baseline, Loss, row_losses
from evergreen.evaluation.outputs import FloatArray, Labels, Outputs, take
from evergreen.monitoring.answered import read_answers
from evergreen.monitoring.band import Band, Reference
from evergreen.monitoring.calibration import Calibrators, as_known, class_costs, expected_losses, fit_calibrators
from evergreen.monitoring.direct import Regressor, categories_of, encode_inputs, fit_trees
from evergreen.monitoring.expectation import Expectation
from evergreen.store.window import Signal, SignalKind

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

LEAST_ROWS = 200
_MOST_ROWS = 50_000
_FOLDS = {"classification": 10, "regression": 5}

Member = Calibrators | Regressor


@dataclass(frozen=True, eq=False)
class Estimator:
    """What a champion's answers are expected to cost, learnt on its holdout.

    Each of `members` learnt from all folds but one. `reference` holds what they expect of the holdout, `shares` how
    often each class came true there.
    """

    metric: str
    holdout: Loss
    classes: tuple[str, ...]
    members: tuple[Member, ...]
    reference: Reference
    shares: Mapping[str, float] = field(default_factory=dict)

    def expectation(self, frame: "pd.DataFrame", answers: "pa.Table") -> Expectation:
        """What is expected of each answer, for `realised_loss`; `frame` holds inputs in the order of `answers`."""
        outputs, shift = read_answers(answers, not self.classes), self.holdout.mean - self.reference.mean
        losses = np.maximum(self._each(frame, outputs).mean(axis=0) + shift, 0.0)
        if not isinstance(outputs, Labels) or outputs.probabilities is None:
            return Expectation(losses, shift=shift)
        known = as_known(outputs, self.classes)
        assert known.probabilities is not None
        chances = np.mean([member.believable(known.probabilities) for member in self._calibrators], axis=0)
        costs = class_costs(known, self.metric)
        return Expectation(losses, self.classes, chances, costs, known.y, self.shares, shift)

    def judge(self, frame: "pd.DataFrame", answers: "pa.Table") -> Band | None:
        """The estimate of a window and its band; None where no row of it can be told."""
        outputs = read_answers(answers, not self.classes)
        chosen = np.unique(np.linspace(0, len(outputs.y) - 1, min(len(outputs.y), _MOST_ROWS)).astype(np.int64))
        each = self._each(frame.iloc[chosen], take(outputs, chosen))
        each = each[:, np.isfinite(each).all(axis=0)]
        return self.reference.band(self.holdout, each, len(outputs.y)) if each.shape[1] else None

    @property
    def _calibrators(self) -> tuple[Calibrators, ...]:
        return tuple(member for member in self.members if isinstance(member, Calibrators))

    def _each(self, frame: "pd.DataFrame", outputs: Outputs) -> FloatArray:
        """What each member expects of each row: one row a member."""
        if isinstance(outputs, Labels):
            known = as_known(outputs, self.classes)
            return np.stack([_expect(member, frame, known, self.metric) for member in self.members])
        return np.stack([_expect(member, frame, outputs, self.metric) for member in self.members])


def fit_estimator(
    baseline: Baseline, metric: str, columns: Collection[str] | None = None, seed: int = 0
) -> Estimator | str:
    """Learn it, once for a champion and a metric; a sentence why where that cannot be done.

    `columns` are those that windows have, all of the baseline's when left out. The same for the same seed.
    """
    losses = row_losses(baseline.outputs, metric) if metric in baseline.losses else np.array([])
    known = np.flatnonzero(np.isfinite(losses))
    if isinstance(baseline.outputs, Labels) and baseline.outputs.probabilities is None:
        return "the model gives no probabilities, so nothing says how sure it is"
    if len(known) < LEAST_ROWS:
        return f"{len(known):,} rows of the holdout have a {metric}, {LEAST_ROWS} are needed to estimate it"
    outputs, frame = take(baseline.outputs, known), baseline.inputs.iloc[known]
    wanted = [name for name in frame.columns if columns is None or name in columns]
    folds = np.arange(len(known)) * _FOLDS[baseline.task] // len(known)
    members = _fit_members(outputs, frame[wanted], losses[known], folds, seed)
    each = np.stack([_expect(member, frame, outputs, metric) for member in members])
    holdout = baseline.losses[metric]
    classes = outputs.classes if isinstance(outputs, Labels) else ()
    shares = {name: float(np.mean(outputs.y == place)) for place, name in enumerate(classes)}
    return Estimator(metric, holdout, classes, members, Reference.of(each, folds, holdout.rows), shares)


def estimate_loss(fitted: Estimator | str, frame: "pd.DataFrame", answers: "pa.Table", margin: float = 0.0) -> Signal:
    """The estimated loss of a window with the band that it stays in without drift, in 19 of 20 windows.

    It fails above the band, if that is more than `margin`, a share of the holdout's loss, above the holdout too. It
    cannot see concept drift. `frame` is canonical, and in the order of `answers`; a sentence in place of an estimator
    says why there is none.
    """
    if isinstance(fitted, str):
        return Signal(SignalKind.ESTIMATE, Outcome.UNKNOWN, fitted)
    band = fitted.judge(frame, answers) if answers.num_rows else None
    if band is None:
        return Signal(SignalKind.ESTIMATE, Outcome.UNKNOWN, "no row of the window can be estimated")
    bound = max(band.upper, fitted.holdout.mean * (1 + margin))
    raised = band.value > bound
    said = f"{fitted.metric} is estimated at {band.value:.4g}; without drift it is {band.lower:.4g} to {band.upper:.4g}"
    facts = {"metric": fitted.metric, "holdout": fitted.holdout.mean, "error": band.error}
    return Signal(
        kind=SignalKind.ESTIMATE,
        outcome=Outcome.FAIL if raised else Outcome.PASS,
        why=f"{said}, on the holdout it was {fitted.holdout.mean:.4g}",
        value=band.value,
        bound=bound,
        lower=band.lower,
        upper=band.upper,
        details=facts,
    )


def _fit_members(
    outputs: Outputs, frame: "pd.DataFrame", losses: FloatArray, folds: Any, seed: int
) -> tuple[Member, ...]:
    others = [np.flatnonzero(folds != fold) for fold in range(folds.max() + 1)]
    if isinstance(outputs, Labels):
        parts = (take(outputs, rows) for rows in others)
        return tuple(fit_calibrators(part) for part in parts if isinstance(part, Labels))
    columns, categories = tuple(frame.columns), categories_of(frame, list(frame.columns))
    encoded = encode_inputs(frame, columns, categories, outputs.predicted)
    trees = (fit_trees(encoded[rows], losses[rows], seed) for rows in others)
    return tuple(Regressor(columns, categories, each) for each in trees)


def _expect(member: Member, frame: "pd.DataFrame", outputs: Outputs, metric: str) -> FloatArray:
    if isinstance(outputs, Labels) and isinstance(member, Calibrators):
        if outputs.probabilities is None:
            return np.full(len(outputs.y), np.nan)
        return expected_losses(outputs, member.believable(outputs.probabilities), metric)
    assert isinstance(member, Regressor)
    return member.predict(frame, outputs.predicted.astype(np.float64))
