"""One current column against its profile: what is measured, before anything is decided."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from evergreen.drift import statistics
from evergreen.drift.profile import ColumnProfile
from evergreen.drift.values import count_labels, count_numbers, read_numbers
from evergreen.spec.columns import ColumnType
from evergreen.spec.rules import ColumnDrift as Rule

# A test yields a p-value, any other method a distance.
TESTS = frozenset({"ks", "chisquare", "unseen labels", "null share"})
_NUMBERS_ONLY = frozenset({"ks", "wasserstein"})
# Numbers without few distinct values are cut at these quantiles for PSI, Jensen-Shannon and chi-square.
_BINS = 10


@dataclass(frozen=True)
class Part:
    """One aspect of a column. `score` is a p-value, not yet adjusted, or a distance; `effect` is in 0..1."""

    method: str
    score: float
    threshold: float
    effect: float
    detail: str

    @property
    def is_test(self) -> bool:
        """True where `score` is a p-value."""
        return self.method in TESTS


@dataclass(frozen=True)
class Current:
    """The current column, read as its profile's type: `known` as sorted numbers or as counted labels."""

    rows: int
    nulls: int
    numbers: np.ndarray | None = None
    labels: Mapping[str, int] | None = None

    @property
    def known(self) -> int:
        """Rows that are not null."""
        return self.rows - self.nulls


def default_rule(kind: ColumnType, level: float) -> Rule:
    """What a column is judged by when the spec names nothing: a two-sample test at the run's false alarm rate."""
    return Rule(method="ks" if kind in ("integer", "number") else "chisquare", threshold=level)


def suits(rule: Rule, profile: ColumnProfile) -> bool:
    """True unless the method needs an order that labels do not have."""
    return profile.numeric or rule.method not in _NUMBERS_ONLY


def read_current(column: pd.Series, profile: ColumnProfile) -> Current:
    """The column read as the reference was.

    Raises:
        ValueError: It cannot be read so.
    """
    if not profile.numeric:
        labels = count_labels(column)
        return Current(len(column), len(column) - sum(labels.values()), labels=labels)
    values = read_numbers(column)
    nulls = int(np.isnan(values).sum())
    # Sorting puts NaN last.
    return Current(len(values), nulls, numbers=np.sort(values)[: len(values) - nulls])


def compare_values(current: Current, profile: ColumnProfile, rule: Rule) -> Part:
    """The values that are there, by the rule's method. Both sides have some."""
    if rule.method in _NUMBERS_ONLY:
        return _compare_ordered(current, profile, rule)
    old, new, names = _cells(current, profile)
    p, effect = statistics.chisquare(old, new)
    if rule.method == "chisquare":
        score = p
    else:
        score = statistics.psi(old, new) if rule.method == "psi" else statistics.jensenshannon(old, new)
    return Part(rule.method, score, rule.threshold, effect, _moved_most(old, new, names))


def compare_labels(current: Current, profile: ColumnProfile, level: float) -> Part:
    """Labels that the reference does not have."""
    old, new, names = _cells(current, profile)
    p, effect = statistics.unseen(old, new)
    fresh = sorted(((n, name) for o, n, name in zip(old, new, names, strict=True) if not o and n), reverse=True)
    listed = ", ".join(repr(name) for _, name in fresh[:3]) + (", …" if len(fresh) > 3 else "")
    share = sum(n for n, _ in fresh) / current.known
    return Part("unseen labels", p, level, effect, f"{share:.1%} have a value that is new: {listed}" if fresh else "")


def compare_nulls(current: Current, profile: ColumnProfile, level: float) -> Part:
    """The shares of null rows."""
    p, effect = statistics.proportions((profile.nulls, profile.rows), (current.nulls, current.rows))
    detail = f"null rows {profile.null_share:.1%} → {current.nulls / current.rows:.1%}"
    return Part("null share", p, level, effect, detail)


def _compare_ordered(current: Current, profile: ColumnProfile, rule: Rule) -> Part:
    assert current.numbers is not None
    p, d = statistics.ks(*_ordered_cells(current.numbers, profile))
    middle = np.searchsorted(np.cumsum(profile.counts), profile.known / 2)
    detail = f"median {profile.values[middle]:.4g} → {current.numbers[(current.known - 1) // 2]:.4g}"
    if rule.method == "ks":
        return Part("ks", p, rule.threshold, d, detail)
    points = np.array(profile.means or profile.values)
    moved = statistics.wasserstein(points, np.array(profile.counts), current.numbers, profile.std)
    return Part("wasserstein", moved, rule.threshold, d, detail)


def _ordered_cells(ordered: np.ndarray, profile: ColumnProfile) -> tuple[np.ndarray, np.ndarray]:
    """Counts of both sides in cells of ascending values; where every value is known, the gaps are cells as well."""
    edges, counts = np.array(profile.values), np.array(profile.counts)
    if not profile.exact:
        return np.append(counts, 0), bin_counts(ordered, edges)
    sides = [np.searchsorted(ordered, edges, side="left"), np.searchsorted(ordered, edges, side="right")]
    now = np.diff(np.stack(sides, axis=1).ravel(), prepend=0, append=len(ordered))
    return np.append(np.stack([np.zeros_like(counts), counts], axis=1).ravel(), 0), now


def bin_counts(ordered: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """How many values lie up to the first edge, between each two, and above the last.

    >>> bin_counts(np.array([0.0, 1.0, 2.0, 9.0]), np.array([1.0, 3.0])).tolist()
    [2, 1, 1]
    """
    below = np.searchsorted(ordered, edges, side="right")
    return np.diff(below, prepend=0, append=len(ordered))


def _cells(current: Current, profile: ColumnProfile) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Aligned counts of both sides and what each cell is called."""
    if not profile.exact:
        return _coarse_cells(current, profile)
    old: dict[Any, int] = dict(zip(profile.values, profile.counts, strict=True))
    new: dict[Any, int] = dict(current.labels or {})
    if current.numbers is not None:
        values, counts = count_numbers(current.numbers)
        new = dict(zip(values.tolist(), counts.tolist(), strict=True))
    keys = sorted(old.keys() | new.keys())
    names = [k if isinstance(k, str) else f"{k:g}" for k in keys]
    return np.array([old.get(k, 0) for k in keys]), np.array([new.get(k, 0) for k in keys]), names


def _coarse_cells(current: Current, profile: ColumnProfile) -> tuple[np.ndarray, np.ndarray, list[str]]:
    assert current.numbers is not None
    share = np.cumsum(profile.counts) / profile.known
    cuts = np.unique(np.searchsorted(share, np.arange(1, _BINS) / _BINS))
    edges = np.array(profile.values)[cuts]
    old = np.diff(np.cumsum(profile.counts)[cuts], prepend=0, append=profile.known)
    names = [f"≤ {edges[0]:.4g}", *(f"{a:.4g} to {b:.4g}" for a, b in pairwise(edges))]
    return old, bin_counts(current.numbers, edges), [*names, f"> {edges[-1]:.4g}"]


def _moved_most(old: np.ndarray, new: np.ndarray, names: list[str]) -> str:
    before, now = old / old.sum(), new / new.sum()
    most = int(np.abs(now - before).argmax())
    return f"share of {names[most]} {before[most]:.1%} → {now[most]:.1%}"
