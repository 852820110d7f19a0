"""How sure is it that the challenger is not worse? A paired bootstrap of the difference on the holdout.

Both models are scored on the same resampled rows, so that what is hard about a row cancels out. A metric that is a
formula over sums costs one matrix product for all resamples. One that needs order is sorted once and weighted by how
often each row was drawn; to bound its cost there are fewer resamples where rows are many, and below 200 of them a
random sample of the rows, which can only widen the interval.

The interval takes percentiles, widened for few rows or blocks as in Hesterberg, What Teachers Should Know About the
Bootstrap (The American Statistician 69, 2015). Beyond the last resamples it goes on as a normal tail would. Each end is
one-sided: with the given confidence the truth lies above `lower`, and with the same confidence below `upper`.
"""

import math
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from evergreen.evaluation.metrics import Metric, Ordered, Sums, measure
from evergreen.evaluation.outputs import FloatArray, IntArray, Labels, Outputs, take
from evergreen.evaluation.resample import Scheme, blocks_of_time, independent_rows
from evergreen.evaluation.result import Comparison
from evergreen.spec.rules import AgainstChampion

MIN_ROWS = 30
MIN_BLOCKS = 5
_ORDERED_BUDGET = 40_000_000  # rows times resamples times classes that are ranked: about 1.5 s of one core
FEWEST_RESAMPLES = 200
BEYOND_AN_END = 5  # resamples that must lie beyond a percentile for it to say where the end is
_MOST_LOST = 0.05  # share of resamples that may lack the metric
_ROUNDING = 1e-12
_HOPELESS = 1e-4  # an interval would have to shrink by more than this, with 10^8 times the rows


def choose_scheme(
    rows: int, times: npt.NDArray[np.datetime64] | None, rules: AgainstChampion
) -> tuple[Scheme | None, str]:
    """How to resample, and where it cannot be done the reason. `times` is None for rows without an order."""
    if rows < MIN_ROWS:
        return None, f"{rows} holdout rows are too few to compare on; at least {MIN_ROWS} are needed"
    if times is None:
        return independent_rows(rows, rules.seed), ""
    block = rules.block or timedelta(days=1)
    scheme = blocks_of_time(times, block)
    if scheme.independent < MIN_BLOCKS:
        why = f"the holdout spans {scheme.independent} blocks of {block}; at least {MIN_BLOCKS} are needed"
        return None, f"{why}: hold out more, or shorten gates.against_champion.block"
    return scheme, ""


def compare(
    metric: Metric, challenger: Outputs, champion: Outputs, scheme: Scheme, rules: AgainstChampion
) -> Comparison | None:
    """The oriented difference with its interval; None where the metric does not exist for both models.

    Also None where more than one resample in twenty lacks the metric: the holdout hardly holds it.
    """
    new, old = measure(metric, challenger), measure(metric, champion)
    if new is None or old is None:
        return None
    sign = 1.0 if metric.greater_is_better else -1.0
    differences = sign * resample_differences(metric, challenger, champion, scheme, rules)
    known = differences[np.isfinite(differences)]
    if len(known) < (1 - _MOST_LOST) * len(differences):
        return None
    rounding = _ROUNDING * max(abs(new), abs(old))
    lower, upper = _without_rounding(_interval(known, scheme.independent, rules.confidence), rounding)
    difference = float(_without_rounding(np.array(sign * (new - old)), rounding))
    margin = rules.margin * abs(old) if rules.relative else rules.margin
    return Comparison(
        metric=metric.name,
        challenger=new,
        champion=old,
        difference=difference,
        lower=float(lower),
        upper=float(upper),
        margin=margin,
        confidence=rules.confidence,
        rows=len(challenger.y),
        blocks=scheme.independent if scheme.independent < len(challenger.y) else None,
        rows_to_decide=rows_to_decide(difference, float(lower), float(upper), margin, len(challenger.y)),
    )


def resample_differences(
    metric: Metric, challenger: Outputs, champion: Outputs, scheme: Scheme, rules: AgainstChampion
) -> FloatArray:
    """Challenger minus champion on each resample, in units of the metric; NaN where a resample lacks it."""
    if isinstance(metric.statistic, Sums):
        return _sum_differences(metric.statistic, challenger, champion, scheme, rules)
    return _ordered_differences(metric.statistic, challenger, champion, scheme, rules)


def rows_to_decide(difference: float, lower: float, upper: float, margin: float, rows: int) -> int | None:
    """About how many rows the interval needs to lie on one side of -margin, as its width shrinks with their root.

    None where it does already, or where the difference is so near the margin that no number would do.

    >>> rows_to_decide(difference=0.0, lower=-0.02, upper=0.02, margin=0.01, rows=1000)
    4000
    """
    room = difference + margin
    reach = difference - lower if room > 0 else upper - difference
    if lower >= -margin or upper < -margin or abs(room) < _HOPELESS * reach:
        return None
    return math.ceil(round(rows * (reach / abs(room)) ** 2, 6))


def _sum_differences(
    statistic: Sums, challenger: Outputs, champion: Outputs, scheme: Scheme, rules: AgainstChampion
) -> FloatArray:
    new, old = (statistic.sums(outputs, scheme.unit, scheme.units) for outputs in (challenger, champion))
    return np.concatenate(
        [
            statistic.finish(weights @ new) - statistic.finish(weights @ old)
            for weights in scheme.weights(rules.resamples, rules.seed)
        ]
    )


def _ordered_differences(
    statistic: Ordered, challenger: Outputs, champion: Outputs, scheme: Scheme, rules: AgainstChampion
) -> FloatArray:
    ranked = len(challenger.classes) if isinstance(challenger, Labels) and len(challenger.classes) > 2 else 1
    affordable = _ORDERED_BUDGET // ranked
    rows = _sample(len(challenger.y), affordable // FEWEST_RESAMPLES, rules.seed)
    new, old = (statistic.prepare(take(outputs, rows)) for outputs in (challenger, champion))
    unit = scheme.unit[rows]
    batches = scheme.weights(min(rules.resamples, affordable // len(rows)), rules.seed)
    drawn = (weights[unit] for batch in batches for weights in batch)
    return np.array([new(weights) - old(weights) for weights in drawn])


def _sample(rows: int, size: int, seed: int) -> IntArray:
    if rows <= size:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, size, replace=False))


def _interval(differences: FloatArray, independent: int, confidence: float) -> FloatArray:
    from scipy import stats

    quantile = stats.t.ppf(1 - confidence, independent - 1)
    wanted = math.sqrt(independent / (independent - 1)) * quantile
    level = max(float(stats.norm.cdf(wanted)), BEYOND_AN_END / len(differences))
    # Further out than the resamples reach, the ends are as far from the middle as normal tails would be.
    stretch = wanted / stats.norm.ppf(level)
    middle = np.median(differences)
    return middle + stretch * (np.quantile(differences, [level, 1 - level]) - middle)


def _without_rounding(values: FloatArray, rounding: float) -> FloatArray:
    # Two models that are one and the same must tie exactly, whatever order their sums were taken in.
    return np.where(np.abs(values) <= rounding, 0.0, values)
