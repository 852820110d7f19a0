"""What an estimate expects of labelled rows, held against what became of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from evergreen.evaluation.outputs import FloatArray, IntArray

_LEAST_SHARE = 1e-6


@dataclass(frozen=True, eq=False)
class Expectation:
    """The loss that is expected of each labelled row, NaN where it cannot be told.

    Of classes also what it rests on, one column for each of `classes`: believable probabilities (`chances`), what the
    answer costs were that class true (`costs`), and which is true (`y`, -1 for one that is not among them). `shares`
    are those of the holdout's labels, `shift` is what was added so that the holdout's mean is right.
    """

    losses: FloatArray
    classes: tuple[str, ...] = ()
    chances: FloatArray | None = None
    costs: FloatArray | None = None
    y: IntArray | None = None
    shares: Mapping[str, float] = field(default_factory=dict)
    shift: float = 0.0

    def hold_against(self, losses: FloatArray, rows: IntArray) -> dict[str, Any]:
        """What came true of some rows beside what was expected, as JSON values.

        `gap` is what the mean loss exceeds its expectation by and `gap_error` its standard error. Of classes `labels`
        says of the one that moved most how often it came true, and on the holdout (`held`); `evidence` is the logarithm
        of how much likelier all labels are if each class looks as before and only comes more or less often (prior
        shift) than if each row has the chances that it had. `after_labels` is the gap that is left in the former case.
        """
        told = np.isfinite(self.losses[rows])
        losses, rows = losses[told], rows[told]
        if len(losses) < 2:
            return {}
        expected = self.losses[rows]
        gaps = losses - expected
        said = {"loss": float(losses.mean()), "expected": float(expected.mean()), "rows": len(rows)}
        said |= {"gap": float(gaps.mean()), "gap_error": float(gaps.std(ddof=1) / np.sqrt(len(gaps)))}
        return {**said, **self._labels(float(losses.mean()), rows)}

    def _labels(self, loss: float, rows: IntArray) -> dict[str, Any]:
        if self.chances is None or self.costs is None or self.y is None:
            return {}
        true = self.y[rows]
        rows, true = rows[true >= 0], true[true >= 0]
        if not len(rows):
            return {}
        chances = self.chances[rows]
        came = np.bincount(true, minlength=len(self.classes)) / len(true)
        shares = np.array([self.shares.get(name, 0.0) for name in self.classes])
        most = int(np.argmax(np.abs(came - shares)))
        if len(self.classes) == 2:
            # Both moved alike: the one that comes more often now.
            most = int(np.argmax(came - shares))
        moved = {"label": self.classes[most], "came": float(came[most])}
        held = float(shares[most])
        known = reweigh(chances, shares, came)
        after = loss - float((known * self.costs[rows]).sum(axis=1).mean()) - self.shift
        evidence = float(np.log(_of(true, known) / _of(true, chances)).sum())
        return {"labels": {**moved, "held": held, "evidence": evidence}, "after_labels": after}


def _of(true: IntArray, chances: FloatArray) -> FloatArray:
    # What a curve calls impossible may happen.
    return np.clip(chances[np.arange(len(true)), true], 1e-3, 1.0)


def reweigh(chances: FloatArray, shares: Any, now: Any) -> FloatArray:
    """Probabilities under other shares of the classes, when each class looks as before (prior shift).

    Saerens, Latinne and Decaestecker, Adjusting the outputs of a classifier to new a priori probabilities (Neural
    Computation 14, 2002), equation 2.4.

    >>> reweigh(np.array([[0.5, 0.5]]), [0.5, 0.5], [0.2, 0.8])
    array([[0.2, 0.8]])
    """
    factor = np.asarray(now, dtype=np.float64) / np.maximum(np.asarray(shares, dtype=np.float64), _LEAST_SHARE)
    moved = chances * factor
    total = moved.sum(axis=1, keepdims=True)
    return np.where(total > 0, moved / np.where(total > 0, total, 1.0), chances)
