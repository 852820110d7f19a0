"""The trial of a challenger, as one process sees it: which requests are its, and what is counted of both sides."""

from collections import Counter
from collections.abc import Mapping
from hashlib import blake2b
from threading import Lock

from evergreen.evaluation.totals import Totals, latency_bucket
from evergreen.serving.handles import ServedModel
from evergreen.serving.reader import Rows
from evergreen.spec.canary import CanaryRules

_ALL = 2**64


class Counted:
    """Running totals of the requests to one side; safe from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._requests, self._errors = 0, 0
        self._latencies: Counter[int] = Counter()

    def answered(self, latency_ms: float) -> None:
        """One more request that was answered."""
        bucket = latency_bucket(latency_ms)
        with self._lock:
            self._requests += 1
            self._latencies[bucket] += 1

    def failed(self) -> int:
        """One more that was not; how many that were. It has no latency: who fails at once is not quick."""
        with self._lock:
            self._requests += 1
            self._errors += 1
            return self._errors

    @property
    def totals(self) -> Totals:
        """Everything up to now."""
        with self._lock:
            return Totals(self._requests, self._errors, dict(self._latencies))


class Trial:
    """A challenger beside a champion. `dropped` counts copies that a shadow had no room for."""

    def __init__(self, model: str, decision: int, rules: CanaryRules) -> None:
        self.model, self.decision, self.rules = model, decision, rules
        self.champion, self.challenger = Counted(), Counted()
        self.dropped = 0
        self._compared: tuple[ServedModel, ServedModel, bool] | None = None

    @property
    def splits(self) -> bool:
        """True where the challenger answers; False where it is shown copies."""
        return self.rules.kind == "split"

    def picks(self, asked: Rows, request: str) -> bool:
        """True for a request that the challenger answers, or is shown a copy of.

        A split is sticky by the caller's name of the row, where the request is about one row only. Copies are chosen
        by request: nobody notices, and one customer with many requests should not be most of what is seen.
        """
        name = sticky_name(asked, request) if self.splits else request
        return is_picked(self.decision, name, self.rules.share)

    def alike(self, champion: ServedModel, challenger: ServedModel) -> bool:
        """True where rows that were read for the one are rows for the other."""
        known = self._compared
        if known is None or known[0] is not champion or known[1] is not challenger:
            same = (champion.columns, champion.id_column) == (challenger.columns, challenger.id_column)
            self._compared = known = champion, challenger, same
        return known[2]


class Trials:
    """What is counted in this process: the trials that it has seen, and promotions that are watched."""

    def __init__(self) -> None:
        self._trials: Mapping[int, Trial] = {}
        self._watched: Mapping[tuple[str, int], tuple[int, Counted]] = {}

    def of(self, challenger: ServedModel | None) -> Trial | None:
        """The trial of a challenger; None where there is nobody to try. For the event loop only."""
        if challenger is None or challenger.decision is None or challenger.trial is None:
            return None
        found = self._trials.get(challenger.decision)
        if found is None:
            found = Trial(challenger.model, challenger.decision, challenger.trial)
            self._trials = {**self._trials, challenger.decision: found}
        return found

    @property
    def seen(self) -> tuple[Trial, ...]:
        """Every trial that a request was made in, oldest first."""
        return tuple(self._trials.values())

    def watch(self, promoted: Mapping[tuple[str, int], int]) -> None:
        """Count the requests to these champions, by model and version, for the decision whose trial promoted them."""
        known = self._watched
        self._watched = {
            who: (decision, known[who][1] if who in known and known[who][0] == decision else Counted())
            for who, decision in promoted.items()
        }

    def watching(self, champion: ServedModel) -> Counted | None:
        """Where requests to a champion are counted whose promotion is watched; None for any other."""
        found = self._watched.get((champion.model, champion.version)) if self._watched else None
        return None if found is None else found[1]

    @property
    def watched(self) -> tuple[tuple[int, Counted], ...]:
        """Decisions whose promotion is watched, with what was counted since this process knows of it."""
        return tuple(self._watched.values())


def is_picked(decision: int, name: str, share: float) -> bool:
    """True for a share of all names: always the same ones in one trial, others in the next.

    >>> sum(is_picked(12, f"customer-{i}", 0.1) for i in range(1000))
    108
    """
    digest = blake2b(f"{decision} {name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) < share * _ALL


def sticky_name(asked: Rows, request: str) -> str:
    """By what a request keeps to one version: the caller's name of its row, or of all its rows; else its own.

    >>> sticky_name(Rows([(1,)], ["4711"]), "r-1"), sticky_name(Rows([(1,), (2,)], ["4711", "4712"]), "r-1")
    ('4711', 'r-1')
    """
    name = asked.ids[0]
    return request if name is None or any(other != name for other in asked.ids) else name
