"""Rules for a column from what it held so far, with enough slack that only a real change breaks them."""

import math
from collections.abc import Callable
from typing import Any

import pandas as pd

from evergreen.scaffold.inspect import ColumnReport

# Fewer categories than this are written out.
MOST_LISTED = 20
_FEWEST_VALUES = 10
_SCALE_LEVELS = 31


def column_rules(c: ColumnReport, values: pd.Series, named: bool = False) -> dict[str, Any]:
    """The entry of a column under `schema.columns`; one whose numbers are names (`named`) is a category."""
    rules: dict[str, Any] = {"type": "category" if named else c.type}
    if not named and c.numeric and c.type != "boolean" and c.low is not None and c.high is not None:
        rules |= _range(c, values)
    if c.type == "category" and c.distinct <= MOST_LISTED:
        rules |= {"allowed": sorted(c.levels), "unseen": "warn"}
    share = null_bound(c.null_share)
    return rules if share is None else {**rules, "max_null_share": share}


def null_bound(share: float) -> float | None:
    """Twice the share of nulls, and at least five points more; None where nearly everything is null anyway.

    >>> null_bound(0.0), null_bound(0.032), null_bound(0.3), null_bound(0.9)
    (0.05, 0.09, 0.6, None)
    """
    if share > 0.8:
        return None
    return min(0.95, math.ceil(round(100 * max(2 * share, share + 0.05), 6)) / 100)


def oddity(c: ColumnReport, values: pd.Series) -> str | None:
    """What in a column of numbers a person should look at before it is trusted, in words."""
    if c.type not in ("integer", "number") or c.distinct < _FEWEST_VALUES:
        return None
    # Beside the commonest value: where it rains seldom, rain is no outlier.
    known = values.dropna()
    usual = known[known != known.mode().iloc[0]]
    low, usual_low, usual_high, high = usual.quantile([0.0, 0.001, 0.999, 1.0])
    room = 3 * (usual_high - usual_low)
    if high > usual_high + room > usual_high:
        return f"the largest is {high:g}, but 99.9% are at most {usual_high:g}: an error?"
    if low < usual_low - room < usual_low:
        return f"the smallest is {low:g}, but 99.9% are at least {usual_low:g}: an error?"
    least = float(known.min())
    share = float((known == least).mean())
    if least < 0 and share > 0.05 and known[known > least].min() >= 0:
        return f"{share:.0%} are {least:g} and none else is negative: does it mean missing?"
    return None


def _range(c: ColumnReport, values: pd.Series) -> dict[str, float]:
    low, high = float(c.low or 0), float(c.high or 0)
    if c.type == "integer" and _is_scale(c):
        return _scale(c, values)
    if c.type == "integer" and low >= 1800 and high <= 2100:
        # Years, most likely: those to come are as right as those that were.
        return {"min": int(low // 100 - 1) * 100, "max": 2100}
    if low > high / 2 > 0:
        # Far from zero, as latitudes and body sizes are: one more range to either side.
        digits = math.floor(math.log10(high - low)) - 1 if high > low else 0
        return {
            "min": _rounded(max(0.0, 2 * low - high), digits, math.floor),
            "max": _rounded(2 * high - low, digits, math.ceil),
        }
    if low >= 0 and _is_share(c, values):
        return {"min": 0, "max": 1}
    if low >= 0 and 95 <= high <= 100:
        return {"min": 0, "max": 100}
    return {"min": 0} if low >= 0 else {}


def _is_scale(c: ColumnReport) -> bool:
    """A full run of small integers from 0 or 1: months, hours, grades, flags."""
    span = float(c.high or 0) - float(c.low or 0) + 1
    return c.low in (0, 1) and 2 <= c.distinct <= _SCALE_LEVELS and span == c.distinct


def _scale(c: ColumnReport, values: pd.Series) -> dict[str, float]:
    """Its ends, where they are frequent enough to be ends and not just the farthest so far."""
    shares = values.value_counts(normalize=True)
    rare = 0.0 if c.distinct == 2 else 0.1 / c.distinct
    low, high = float(c.low or 0), float(c.high or 0)
    rules: dict[str, float] = {"min": _plain(low if shares[low] >= rare else 0.0)}
    return {**rules, "max": _plain(high)} if shares[high] >= rare else rules


def _is_share(c: ColumnReport, values: pd.Series) -> bool:
    return c.type == "number" and 0.8 <= float(c.high or 0) <= 1 and float(values.median()) > 0.02


def _rounded(value: float, digits: int, to_whole: Callable[[float], int]) -> float:
    """In units of 10**digits, written without the traces of binary fractions.

    >>> _rounded(0.123, -2, math.floor), _rounded(1234567890123.0, 0, math.floor), _rounded(151.0, 1, math.ceil)
    (0.12, 1234567890123, 160)
    """
    return _plain(float(f"{to_whole(value / 10.0**digits)}e{digits}"))


def _plain(value: float) -> float:
    return int(value) if value.is_integer() else value
