"""Challenger and champion on one holdout, with one code path for both."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.evaluation.bootstrap import choose_scheme, compare
from evergreen.evaluation.dummy import score_dummy
from evergreen.evaluation.importance import permutation_importance
from evergreen.evaluation.latency import Clock, measure_latency
from evergreen.evaluation.metrics import METRICS, metric_names, require_metric, score_outputs
from evergreen.evaluation.outputs import Labels, Outputs
from evergreen.evaluation.predict import Contender, Holdout, answer, encode
from evergreen.evaluation.result import Comparison, Evaluation, Flips, ModelScore
from evergreen.evaluation.slices import score_slices
from evergreen.spec.rules import AgainstChampion, SliceRules

if TYPE_CHECKING:
    import pandas as pd

_SAW = "the champion was trained on rows of this holdout"
_SAW_AT_RANDOM = "the champion was trained on rows of this holdout: its own was drawn in another way"


@dataclass(frozen=True)
class EvaluationRules:
    """What is measured. Without `against_champion` the training metric is compared, at a margin of 0."""

    task: str
    metric: str
    against_champion: AgainstChampion | None = None
    slices: SliceRules | None = None
    clock: Clock = time.perf_counter

    @property
    def comparison(self) -> AgainstChampion:
        """The comparison to make."""
        return self.against_champion or AgainstChampion(metric=self.metric)


def evaluate(
    holdout: Holdout,
    challenger: Contender,
    champion: Contender | None,
    rules: EvaluationRules,
    train_y: "pd.Series[Any]",
    plots: Path | None = None,
) -> Evaluation:
    """Everything the gate and the report need to know; with a folder in `plots`, pictures of it and
    the importance of columns too.

    `train_y` teaches the dummy baseline. Raises SpecError for a metric the task does not have, EvergreenError where a
    model cannot predict the holdout.
    """
    metric = require_metric(rules.metric, rules.task, "training.metric")
    require_metric(rules.comparison.metric, rules.task, "gates.against_champion.metric")
    contenders = [challenger] if champion is None else [challenger, champion]
    outputs = encode(holdout.y, [answer(c, holdout.frame) for c in contenders], rules.task)
    scores = [_score(c, o, rules) for c, o in zip(contenders, outputs, strict=True)]
    result = Evaluation(
        metric=rules.metric,
        greater_is_better=metric.greater_is_better,
        rows=len(holdout.y),
        challenger=replace(scores[0], latency_p95_ms=measure_latency(challenger.model, holdout.frame, rules.clock)),
        champion=scores[1] if champion is not None else None,
        champion_version=champion.version if champion is not None else None,
        champion_saw_holdout=_saw(champion, holdout),
        dummy=score_dummy(metric, train_y, holdout.y),
        cross_validated=challenger.cross_validated,
        holdout_from=_moment(holdout, "min"),
        holdout_until=_moment(holdout, "max"),
    )
    result = _with_comparison(result, holdout, outputs, rules)
    if plots is None:
        return result
    from evergreen.evaluation.plots import draw

    result = replace(result, importance=permutation_importance(rules.metric, challenger.model, holdout))
    return replace(result, plots=tuple(str(path) for path in draw(result, outputs, plots)))


def compare_outputs(
    holdout: Holdout, outputs: Sequence[Outputs], rules: AgainstChampion
) -> tuple[Comparison | None, str]:
    """The comparison, or None and the reason why there is none."""
    scheme, note = choose_scheme(len(holdout.y), None if holdout.times is None else holdout.times.to_numpy(), rules)
    if scheme is None:
        return None, note
    found = compare(METRICS[rules.metric], outputs[0], outputs[1], scheme, rules)
    return found, "" if found else f"{rules.metric} cannot be computed on this holdout"


def count_flips(outputs: Sequence[Outputs]) -> Flips | None:
    """How often the two models' labels differ; None for numbers, which always do."""
    new, old = outputs[0], outputs[1]
    if not isinstance(new, Labels) or not isinstance(old, Labels) or not len(new.y):
        return None
    right_now, right_before = new.predicted == new.y, old.predicted == old.y
    return Flips(
        negative=float(np.mean(right_before & ~right_now)),
        positive=float(np.mean(right_now & ~right_before)),
        churn=float(np.mean(new.predicted != old.predicted)),
    )


def _with_comparison(
    result: Evaluation, holdout: Holdout, outputs: tuple[Outputs, ...], rules: EvaluationRules
) -> Evaluation:
    # A champion that knows the answers would win every comparison: none is made.
    comparable = outputs if len(outputs) > 1 and not result.champion_saw_holdout else outputs[:1]
    if rules.slices is not None:
        metric = METRICS[rules.metric]
        result = replace(result, slices=score_slices(metric, holdout, comparable, rules.slices, rules.comparison))
    if len(outputs) == 1:
        return replace(result, comparison_note="no champion yet")
    if len(comparable) == 1:
        return replace(result, comparison_note=_SAW if holdout.times is not None else _SAW_AT_RANDOM)
    found, note = compare_outputs(holdout, comparable, rules.comparison)
    return replace(result, comparison=found, comparison_note=note, flips=count_flips(comparable))


def _score(contender: Contender, outputs: Outputs, rules: EvaluationRules) -> ModelScore:
    metrics = score_outputs([METRICS[name] for name in metric_names(rules.task)], outputs)
    return ModelScore(metrics, size_mb=contender.size_mb)


def _saw(champion: Contender | None, holdout: Holdout) -> bool:
    """Whether the champion may have learnt from these rows; of another draw it knows most of them."""
    start = _moment(holdout, "min")
    if champion is None:
        return False
    if start is None or champion.trained_until is None:
        return champion.draw != holdout.draw
    return champion.trained_until >= start


def _moment(holdout: Holdout, which: str) -> datetime | None:
    if holdout.times is None or not len(holdout.times):
        return None
    return getattr(holdout.times, which)().to_pydatetime().replace(tzinfo=UTC)
