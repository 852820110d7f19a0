"""Both models on parts of the holdout: a better average may hide a group that got worse.

Of many slices of two equal models one looks worse by chance. The confidence holds for all of them together: each
interval takes its share of the error (Bonferroni; see Dunn, Multiple Comparisons among Means, JASA 56, 1961).
"""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from evergreen.evaluation.bootstrap import BEYOND_AN_END, FEWEST_RESAMPLES, choose_scheme, compare
from evergreen.evaluation.metrics import Metric, measure
from evergreen.evaluation.outputs import Outputs, take
from evergreen.evaluation.predict import Holdout
from evergreen.evaluation.result import SliceScore
from evergreen.spec.rules import AgainstChampion, SliceRules

# Of all slices together: about 2 s of one core where they are large.
_RESAMPLES = 40_000


def score_slices(
    metric: Metric,
    holdout: Holdout,
    outputs: tuple[Outputs, ...],
    rules: SliceRules,
    against: AgainstChampion,
) -> tuple[SliceScore, ...]:
    """Every value with at least `min_rows` rows of every column in `rules.by`, missing values among them.

    `outputs` are the challenger's and, when there is one to compare with, the champion's.
    """
    groups = tuple(_groups(holdout, rules))
    each = share_confidence(against.model_copy(update={"metric": metric.name}), len(groups))
    times = None if holdout.times is None else holdout.times.to_numpy()
    return tuple(
        _score_slice(metric, (column, value), tuple(take(o, rows) for o in outputs), _of(times, rows), each)
        for column, value, rows in groups
    )


def share_confidence(against: AgainstChampion, slices: int) -> AgainstChampion:
    """The rules for each of so many slices, so that all intervals hold together with the confidence of `against`.

    Resamples are as many as the end of an interval takes, as far as their number for all slices is affordable.

    >>> each = share_confidence(AgainstChampion(metric="accuracy", confidence=0.95), slices=20)
    >>> round(each.confidence, 6), each.resamples
    (0.9975, 2000)
    """
    error = (1 - against.confidence) / max(slices, 1)
    wanted = math.ceil(BEYOND_AN_END / error)
    resamples = max(FEWEST_RESAMPLES, min(wanted, _RESAMPLES // max(slices, 1)))
    return against.model_copy(update={"confidence": 1 - error, "resamples": resamples})


def _groups(holdout: Holdout, rules: SliceRules) -> Iterator[tuple[str, str, npt.NDArray[np.intp]]]:
    import pandas as pd

    for column in rules.by:
        codes, values = pd.factorize(holdout.frame[column].astype(object), use_na_sentinel=False)
        names = ["(missing)" if pd.isna(value) else str(value) for value in values]
        large = np.flatnonzero(np.bincount(codes, minlength=len(names)) >= rules.min_rows)
        for code in sorted(large, key=lambda code: names[code]):
            yield column, names[code], np.flatnonzero(codes == code)


def _score_slice(
    metric: Metric,
    name: tuple[str, str],
    outputs: tuple[Outputs, ...],
    times: npt.NDArray[np.datetime64] | None,
    against: AgainstChampion,
) -> SliceScore:
    rows = len(outputs[0].y)
    values = [measure(metric, part) for part in outputs]
    new, old = values[0], values[1] if len(values) > 1 else None
    if new is None or old is None:
        return SliceScore(*name, rows, new, old)
    scheme, _ = choose_scheme(rows, times, against)
    found = None if scheme is None else compare(metric, outputs[0], outputs[1], scheme, against)
    if found is None:
        return SliceScore(*name, rows, new, old, new - old if metric.greater_is_better else old - new)
    return SliceScore(*name, rows, new, old, found.difference, found.lower, found.upper)


def _of(times: npt.NDArray[np.datetime64] | None, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.datetime64] | None:
    return None if times is None else times[rows]
