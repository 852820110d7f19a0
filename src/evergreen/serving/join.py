"""Models that get their first champion while others are served already join them."""

import logging
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from evergreen.errors import EvergreenError, UnavailableError
from evergreen.serving.cache import Cache, cached_models
from evergreen.serving.follow import Follower
from evergreen.settings import Settings
from evergreen.store.ledger import Ledger

log = logging.getLogger("evergreen.join")

_POLL_SECONDS = 2.0
# After a version that could not be fetched or does not load.
_TRY_AGAIN = timedelta(seconds=30)


def models_to_serve(wanted: Collection[str], known: Collection[str], settings: Settings) -> tuple[str, ...]:
    """Those of the wanted models that have a champion and are not known yet; without any wanted, of all.

    While the store is down, those that were served from here before.
    """
    ledger = Ledger(settings.store_url)
    try:
        names = [name for name in wanted or ledger.models() if name not in known]
        return tuple(name for name in names if ledger.fence(name))
    except UnavailableError:
        names = [name for name in wanted or cached_models(settings.home) if name not in known]
        return tuple(name for name in names if Cache(settings.home, name).lineup())


@dataclass
class Joiner:
    """Starts to follow models that can be served and are not yet.

    `find` names them, given those that are followed, and `make` makes a follower. Who joins is added to `followers`.
    """

    find: Callable[[Collection[str]], Collection[str]]
    make: Callable[[str], Follower]
    clock: Callable[[], datetime]
    followers: dict[str, Follower] = field(default_factory=dict)
    _next: dict[str, datetime] = field(default_factory=dict)
    _said: dict[str, str] = field(default_factory=dict)

    def join(self, stop: threading.Event, poll_seconds: float = _POLL_SECONDS) -> None:
        """Let everybody follow, and look for more until `stop` is set. Nothing that goes wrong ends it."""
        for follower in list(self.followers.values()):
            _let_follow(follower, stop)
        while not stop.is_set():
            for follower in self.look():
                _let_follow(follower, stop)
            stop.wait(poll_seconds)

    def look(self) -> list[Follower]:
        """Look once; who has joined."""
        now = self.clock()
        try:
            found = [name for name in self.find(self.followers) if now >= self._next.get(name, now)]
            return [follower for name in found if (follower := self._start(name, now)) is not None]
        except Exception as error:
            self._say("", f"{type(error).__name__}: {error}")
            return []

    def _start(self, name: str, now: datetime) -> Follower | None:
        follower = self.make(name)
        try:
            follower.start()
        except Exception as error:
            # Whatever it is, the others are not to wait for it.
            self._next[name] = now + _TRY_AGAIN
            why = str(error) if isinstance(error, EvergreenError) else f"{type(error).__name__}: {error}"
            self._say(name, f"{name} cannot be served yet: {why}")
            return None
        self.followers[name] = follower
        return follower

    def _say(self, about: str, problem: str) -> None:
        # When it is new: what goes on being wrong would fill the log.
        if problem != self._said.get(about):
            log.warning("join        %s", problem)
        self._said[about] = problem


def _let_follow(follower: Follower, stop: threading.Event) -> None:
    threading.Thread(target=follower.follow, args=(stop,), name="follow", daemon=True).start()
