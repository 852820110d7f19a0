"""What /metrics says. Counted in plain integers, as a request touches several, and made up when somebody asks."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from evergreen.serving.asked import Asking
from evergreen.serving.handles import Problem
from evergreen.serving.loaded import LoadedModels
from evergreen.serving.trial import Trials

if TYPE_CHECKING:
    from evergreen.serving.state import ModelState

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 8192)


Gauge = tuple[str, str, Callable[[], float]]
"""A name, what it says, and how it is read; one that ends in _total only grows."""


class Histogram:
    """How often a value fell below each bound, without a lock: it belongs to one event loop."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """One more value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        """Bounds with how many values were at or below each, as Prometheus wants them.

        >>> seen = Histogram([1, 2])
        >>> seen.add(1); seen.add(5); seen.buckets()
        [('1', 1), ('2', 1), ('+Inf', 2)]
        """
        total = 0
        found: list[tuple[str, float]] = []
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            total += count
            found.append((bound, total))
        return found


class Tally:
    """What this process has counted since it started; `asking` counts for monitoring, where somebody wants that."""

    def __init__(self, asking: Asking | None = None) -> None:
        self.asking = asking
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.refusals: Counter[str] = Counter()
        self.rows: Counter[tuple[str, int]] = Counter()
        self.latency: dict[str, Histogram] = {}
        self.call_rows, self.call_seconds = Histogram(_ROWS), Histogram(_SECONDS)

    def request(self, route: str, model: str, status: int, seconds: float, problems: Sequence[Problem] = ()) -> None:
        """A request with its status; `problems` are the rules that it broke."""
        self.requests[route, model, status] += 1
        seen = self.latency.get(route)
        if seen is None:
            seen = self.latency[route] = Histogram(_SECONDS)
        seen.add(seconds)
        if self.asking is not None:
            self.asking.count(route, model, status, problems)

    def call(self, rows: int, _requests: int, seconds: float) -> None:
        """A call of a model."""
        self.call_rows.add(rows)
        self.call_seconds.add(seconds)


class Board:
    """A Prometheus collector over a tally, the loaded models, and gauges that others offer."""

    def __init__(
        self,
        tally: Tally,
        loaded: LoadedModels,
        gauges: Iterable[Gauge] = (),
        trials: Trials | None = None,
        of_models: Callable[[], Mapping[str, "ModelState"]] = dict,
    ) -> None:
        self._tally, self._loaded, self._gauges, self._trials = tally, loaded, tuple(gauges), trials
        self._of_models = of_models

    def collect(self) -> Iterator[Metric]:
        """Every family, as it is now."""
        yield from self._requests()
        yield from self._models()
        yield from self._tried()
        yield from self._followed()
        for name, what, read in self._gauges:
            kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            yield kind(f"evergreen_{name}", what, value=read())

    def _requests(self) -> Iterator[Metric]:
        tally = self._tally
        requests = CounterMetricFamily("evergreen_requests", "Requests.", labels=["route", "model", "status"])
        for (route, model, status), count in list(tally.requests.items()):
            requests.add_metric([route, model, str(status)], count)
        refusals = CounterMetricFamily("evergreen_refusals", "Requests without an answer, by kind.", labels=["kind"])
        for kind, count in list(tally.refusals.items()):
            refusals.add_metric([kind], count)
        latency = HistogramMetricFamily(
            "evergreen_request_seconds", "From a request's headers to its answer.", labels=["route"]
        )
        for route, seen in list(tally.latency.items()):
            latency.add_metric([route], seen.buckets(), seen.sum)
        yield from (requests, refusals, latency)
        for name, what, seen in (
            ("call_rows", "Rows in a call of a model.", tally.call_rows),
            ("call_seconds", "Seconds of a call of a model.", tally.call_seconds),
        ):
            yield HistogramMetricFamily(f"evergreen_{name}", what, buckets=seen.buckets(), sum_value=seen.sum)

    def _models(self) -> Iterator[Metric]:
        rows = CounterMetricFamily("evergreen_predictions", "Rows answered.", labels=["model", "version"])
        for (model, version), count in list(self._tally.rows.items()):
            rows.add_metric([model, str(version)], count)
        info = GaugeMetricFamily(
            "evergreen_model",
            "1 for each version that is served.",
            labels=["model", "version", "role", "engine", "digest"],
        )
        for name, place in self._loaded.places.items():
            for served in filter(None, (place.champion, place.challenger)):
                labels = [name, str(served.version), served.role.value, served.engine.name, served.digest[:12]]
                info.add_metric(labels, 1)
        swaps = CounterMetricFamily("evergreen_swaps", "Champions that took their place.", labels=["model"])
        for name, count in list(self._loaded.swaps.items()):
            swaps.add_metric([name], count)
        yield from (rows, info, swaps)

    def _tried(self) -> Iterator[Metric]:
        who = ["model", "decision"]
        requests = CounterMetricFamily("evergreen_trial_requests", "Requests of a trial.", labels=[*who, "arm"])
        errors = CounterMetricFamily("evergreen_trial_errors", "Those that failed.", labels=[*who, "arm"])
        dropped = CounterMetricFamily("evergreen_trial_dropped", "Copies that were not asked.", labels=who)
        for trial in self._trials.seen if self._trials is not None else ():
            labels = [trial.model, str(trial.decision)]
            for arm, counted in (("champion", trial.champion), ("challenger", trial.challenger)):
                totals = counted.totals
                requests.add_metric([*labels, arm], totals.requests)
                errors.add_metric([*labels, arm], totals.errors)
            dropped.add_metric(labels, trial.dropped)
        yield from (requests, errors, dropped)

    def _followed(self) -> Iterator[Metric]:
        age = GaugeMetricFamily(
            "evergreen_registry_age_seconds", "Since the registry was asked who reigns.", labels=["model"]
        )
        store = GaugeMetricFamily("evergreen_store_answers", "1 where the store answers, else 0.", labels=["model"])
        for name, state in self._of_models().items():
            if state.registry_age_seconds is not None:
                age.add_metric([name], state.registry_age_seconds)
            if state.store_answers is not None:
                store.add_metric([name], float(state.store_answers))
        yield from (age, store)
