"""What was counted of the requests to one version: totals that add up, whoever counted them, and in any order."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

_STEPS = 8
_LEAST_MS = 0.001


def latency_bucket(latency_ms: float) -> int:
    """The number of the bucket that a latency is counted in: eight for each doubling, so that they are 9 % wide.

    >>> latency_bucket(1.0), latency_bucket(2.0), latency_bucket(2.1)
    (0, 8, 9)
    """
    return math.ceil(_STEPS * math.log2(max(latency_ms, _LEAST_MS)))


def bucket_edges(bucket: int) -> tuple[float, float]:
    """The latencies of a bucket, in milliseconds: above the first, up to the second.

    >>> bucket_edges(8)
    (1.8340080864093424, 2.0)
    """
    return 2 ** ((bucket - 1) / _STEPS), 2 ** (bucket / _STEPS)


def latency_quantile(latencies: Mapping[int, int], level: float) -> float | None:
    """The latency that a share of requests stays at or below, in milliseconds, to the width of a bucket; None of none.

    >>> latency_quantile({0: 96, 8: 4}, 0.95), latency_quantile({0: 90, 8: 10}, 0.95)
    (1.0, 2.0)
    """
    total, below = sum(latencies.values()), 0
    for bucket in sorted(latencies):
        below += latencies[bucket]
        if below >= level * total:
            return float(bucket_edges(bucket)[1])
    return None


@dataclass(frozen=True)
class Losses:
    """Count and power sums of something that every labelled request has: its loss, or a difference of two."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    fourths: float = 0.0

    @classmethod
    def of(cls, values: Iterable[float]) -> "Losses":
        """Of each of these.

        >>> Losses.of([1.0, 3.0])
        Losses(count=2, total=4.0, squares=10.0, fourths=82.0)
        """
        return sum((cls(1, value, value**2, value**4) for value in values), cls())

    @property
    def carriers(self) -> float:
        """How many equal values, beside zeros, would have these squares and fourths: so few carry what is known of the
        spread. 0 where all are zero.

        >>> Losses.of([5.0] * 3 + [0.0] * 900).carriers, Losses.of([0.0] * 50).carriers
        (3.0, 0.0)
        """
        return self.squares**2 / self.fourths if self.fourths > 0 else 0.0

    @property
    def mean(self) -> float:
        """NaN where there are none."""
        return self.total / self.count if self.count else math.nan

    def add(self, loss: float) -> "Losses":
        """With one more.

        >>> Losses().add(1.0).add(3.0)
        Losses(count=2, total=4.0, squares=10.0, fourths=82.0)
        """
        return self + Losses.of([loss])

    def __add__(self, other: "Losses") -> "Losses":
        sums = (self.total + other.total, self.squares + other.squares, self.fourths + other.fourths)
        return Losses(self.count + other.count, *sums)


@dataclass(frozen=True)
class Totals:
    """The requests to one version since its trial began.

    `latencies` counts requests by the bucket of their latency (see `latency_bucket`). `losses` are of labelled
    requests: 1 for a wrong answer and 0 for a right one (accuracy), or the row's part of brier, log_loss or mae. `gaps`
    are for a challenger that was shown what the champion answered: its loss less the champion's, of the same request.
    """

    requests: int = 0
    errors: int = 0
    latencies: Mapping[int, int] = field(default_factory=dict)
    losses: Losses = Losses()
    gaps: Losses = Losses()

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(
            self.requests + other.requests,
            self.errors + other.errors,
            Counter(self.latencies) + Counter(other.latencies),
            self.losses + other.losses,
            self.gaps + other.gaps,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as the store keeps them."""
        return {**asdict(self), "latencies": {str(bucket): count for bucket, count in self.latencies.items()}}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Totals":
        """The inverse of `to_dict`.

        >>> totals = Totals(2, 1, {8: 2}, Losses(1, 0.5, 0.25))
        >>> Totals.from_dict(totals.to_dict()) == totals
        True
        """
        latencies = {int(bucket): count for bucket, count in values["latencies"].items()}
        losses, gaps = Losses(**values["losses"]), Losses(**values["gaps"])
        return cls(values["requests"], values["errors"], latencies, losses, gaps)
