"""A single value that takes over a column: a feed that started to send -1, or a form with a new default."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from evergreen.checks import Check, Outcome

if TYPE_CHECKING:
    import pandas as pd

# Fewer new rows say little about shares; then only the whole table is looked at.
MIN_NEW_ROWS = 200
# In the newest rows a value must also be new. Rows of one month rightly hold one month's number in all of them.
RARE = 0.01
_SAMPLE = 2000


class ColumnReference(Protocol):
    """What is asked of a column's profile: its most frequent values, each with its share of all rows."""

    @property
    def top(self) -> Mapping[Any, float]:
        """Value to share; a value that is not in it is rarer than those that are."""


class Reference(Protocol):
    """What is asked of the champion's profile."""

    @property
    def columns(self) -> Mapping[str, ColumnReference]:
        """By name of the column."""


def check_point_mass(
    frame: "pd.DataFrame",
    names: Iterable[str],
    reference: Reference | None,
    limit: float,
    newest: np.ndarray | None = None,
) -> Iterator[Check]:
    """Values whose share at least doubled, and grew by more than `limit`, over the champion's training data.

    A value that was common and becomes more so is drift, which has bounds of its own.

    `newest` marks the rows that came after it: among them a value fails as well that was there in less than 1 %
    of the reference and now has a share above `limit`, which a long table would otherwise hide for weeks.
    """
    if reference is None:
        yield Check("point mass", Outcome.PASS, None, f"share grows by ≤ {limit:g}", "no champion yet")
        return
    # A profile has no datetimes: under the name of one it has what the model derives from it.
    known = [n for n in names if n in reference.columns and frame[n].dtype.kind != "M"]
    failed = [c for name in known if (c := _judge(frame[name], reference.columns[name].top, limit, newest)) is not None]
    yield from failed
    if not failed:
        why = f"in none of {len(known)} columns did a single value take over"
        yield Check("point mass", Outcome.PASS, 0.0, f"share grows by ≤ {limit:g}", why)


def judge_newest(values: "pd.Series", top: Mapping[Any, float], limit: float) -> Check | None:
    """The rule of the newest rows for a column that has no others: a window of traffic; None where it holds.

    `top` are the column's most frequent values in the reference, with their shares.
    """
    return _judge(values, top, limit, np.ones(len(values), dtype=bool), whole=False)


def newest_rows(times: "pd.Series | None", since: datetime | None) -> np.ndarray | None:
    """A mask of the rows after a moment (aware); None where they cannot be told or are too few to judge.

    A row of the moment itself was there already: the champion has learnt from it.
    """
    if times is None or since is None:
        return None
    mask = (times > since.replace(tzinfo=None)).to_numpy()
    return mask if MIN_NEW_ROWS <= mask.sum() < len(mask) else None


def frequent(values: "pd.Series", share: float) -> dict[Any, float]:
    """Values that make up more than `share` of all rows (nulls count as rows), with their exact shares.

    A seeded sample proposes, the whole column counts: a value with a fifth of the rows is in every sample.

    >>> import pandas as pd
    >>> frequent(pd.Series([1.0, 1.0, 2.0, None]), 0.3)
    {1.0: 0.5}
    """
    if not len(values):
        return {}
    picked = np.random.default_rng(0).integers(len(values), size=min(len(values), _SAMPLE))
    sample = values if len(values) <= _SAMPLE else values.iloc[picked]
    shares = sample.value_counts(normalize=False) / len(sample)
    exact = {value: float((values == value).mean()) for value in shares.index[shares > share / 2]}
    return {value: found for value, found in exact.items() if found > share}


def _judge(
    values: "pd.Series", top: Mapping[Any, float], limit: float, newest: np.ndarray | None, whole: bool = True
) -> Check | None:
    """The worst value of a column, if one broke the rule: among all rows where `whole`, and among the newest."""
    common = frequent(values, limit) if whole else {}
    grown = [(value, now, top.get(value, 0.0), "rows") for value, now in common.items()]
    if newest is not None:
        fresh = frequent(values[newest], limit)
        grown += [(v, now, top.get(v, 0.0), "the newest rows") for v, now in fresh.items() if top.get(v, 0.0) < RARE]
    grown = [
        (value, now, before, where) for value, now, before, where in grown if now > max(before + limit, 2 * before)
    ]
    if not grown:
        return None
    value, now, before, where = max(grown, key=lambda found: found[1] - found[2])
    why = f"{values.name}: {now:.1%} of {where} are {_show(value)}, {before:.1%} in the champion's training data"
    return Check(f"column {values.name}: point mass", Outcome.FAIL, now - before, f"share grows by ≤ {limit:g}", why)


def _show(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
