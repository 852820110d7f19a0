"""How often somebody may ask: a bucket of tokens each, which fills evenly."""

from collections import OrderedDict
from collections.abc import Callable


class Rates:
    """A token bucket for every key or address: `burst` requests at once, `per_second` in the long run.

    `clock` counts seconds. Of more askers than `most` the one who has not asked for longest is forgotten, which gives
    it a full bucket.
    """

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float], most: int = 10_000) -> None:
        self._rate, self._burst, self._clock, self._most = per_second, max(1.0, burst), clock, most
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, asker: str) -> float:
        """Seconds until the asker may ask; 0 where it may now, which takes a token.

        >>> rates = Rates(2.0, 1.0, clock=lambda: 0.0)
        >>> rates.take("shop"), rates.take("shop"), rates.take("else")
        (0.0, 0.5, 0.0)
        """
        now = self._clock()
        tokens, before = self._buckets.pop(asker, (self._burst, now))
        tokens = min(self._burst, tokens + (now - before) * self._rate)
        allowed = tokens >= 1.0
        self._buckets[asker] = (tokens - 1.0 if allowed else tokens, now)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1.0 - tokens) / self._rate
