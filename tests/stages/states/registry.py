"""A registry in memory, and what kills whoever works with it."""

from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace

from evergreen.errors import PinnedChampion, UnavailableError
from evergreen.registry.handles import Registered
from evergreen.registry.versions import StaleChampion, said_of_pin
from evergreen.store.ledger import Ledger

MODEL = "churn"


class Killed(BaseException):
    """What no stage may catch."""


@dataclass
class Versions:
    """A registry in memory: versions by the digest of what they hold, and aliases."""

    store: str
    strike: object
    digests: list = field(default_factory=list)
    alias: dict = field(default_factory=dict)
    tested: set = field(default_factory=set)
    served: list = field(default_factory=list)
    moved: list = field(default_factory=list)
    taken: bool = False
    tracking: object = None

    def register(self, digest):
        if digest not in self.digests:
            self.digests.append(digest)
        number = self.digests.index(digest) + 1
        if self.alias.get("champion") != number:
            self.alias["challenger"] = number
        return Registered(MODEL, number, f"models:/{MODEL}/{number}", digest)

    def version(self, model, number):
        return SimpleNamespace(
            model=model, version=number, source=f"models:/{model}/{number}", digest=self.digests[number - 1], tags={}
        )

    def versions(self, model):
        return tuple(range(len(self.digests), 0, -1))

    def aliases(self, model):
        return dict(self.alias)

    def champion_version(self, model):
        return self.alias.get("champion")

    def champion(self, model):
        number = self.champion_version(model)
        return None if number is None else SimpleNamespace(model=MODEL, version=number, digest=self.digests[number - 1])

    def move_by_hand(self, number):
        """Past everything: no turn, no comparison, no ledger. None deletes the alias."""
        self.alias.pop("champion", None)
        if number is not None:
            self.alias["champion"] = number
            self.moved.append(number)

    @contextmanager
    def turn(self, model):
        if self.taken:
            raise UnavailableError("held by another process for over 120 s")
        self.taken = True
        try:
            yield
        finally:
            self.taken = False

    def release(self, model, digest):
        number = self.alias.get("challenger")
        if number is None or self.digests[number - 1] != digest:
            return False
        del self.alias["challenger"]
        return True

    def promote(self, model, version, expected_champion, *, despite_pin=False, fence=None):
        assert self.taken, "nobody moves the alias without the turn"
        self.strike("before alias")
        if self.alias.get("champion") != version:
            known = fence is None or Ledger(self.store).fence(model) == fence
            if self.alias.get("champion") != expected_champion or not known:
                raise StaleChampion("run again")
            if not despite_pin and (said := said_of_pin(self.store, model)):
                raise PinnedChampion(said)
            self.alias["champion"] = version
            self.served.append(version)
            self.moved.append(version)
        if self.alias.get("challenger") == version:
            del self.alias["challenger"]
        self.strike("after alias")
