"""Both models on parts of the holdout: a better average may hide a group that got worse."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from evergreen.evaluation.bootstrap import choose_scheme, compare
from evergreen.evaluation.metrics import Metric, measure
from evergreen.evaluation.outputs import Outputs, take
from evergreen.evaluation.predict import Holdout
from evergreen.evaluation.result import SliceScore
from evergreen.spec.rules import AgainstChampion, SliceRules

# Slices are many and their intervals only have to tell noise from harm.
_RESAMPLES = 200


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
    fewer = against.model_copy(update={"metric": metric.name, "resamples": min(_RESAMPLES, against.resamples)})
    times = None if holdout.times is None else holdout.times.to_numpy()
    return tuple(
        _score_slice(metric, (column, value), tuple(take(o, rows) for o in outputs), _of(times, rows), fewer)
        for column, value, rows in _groups(holdout, rules)
    )


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
