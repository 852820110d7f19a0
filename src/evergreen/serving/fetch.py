"""Ask the registry who is champion, and bring its files into the cache: in a process of its own, which ends.

The server itself never loads MLflow, which would cost it 150 MB and seconds in which nothing is answered.
"""

import logging
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from evergreen.errors import EvergreenError, IntegrityError, UnavailableError
from evergreen.registry.artifact import read_verified
from evergreen.registry.handles import Champion
from evergreen.registry.versions import Registry
from evergreen.serving.cache import MODEL, SPEC, Cache, CachedVersion, Lineup, keep_spec
from evergreen.settings import Settings
from evergreen.store.canary import Canaries
from evergreen.store.ledger import Ledger

log = logging.getLogger("evergreen.follow")

_FAILED = 3
# Workers of one server notice the same change within a poll of each other.
_JUST_NOW = timedelta(seconds=20)
_TIMEOUT_SECONDS = 300.0


def fetch_apart(model: str, timeout_seconds: float = _TIMEOUT_SECONDS) -> None:
    """Fetch in a fresh process with this one's environment. Raises EvergreenError with what it said, where it fails."""
    command = [sys.executable, "-m", "evergreen.serving.fetch", model]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout_seconds)
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{model}: the registry gave no answer within {timeout_seconds:g} s") from None
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise EvergreenError(lines[-1] if lines else f"{model}: fetching ended with exit code {done.returncode}")
    _pass_on(model, done.stderr)


def _pass_on(model: str, said: str) -> None:
    """Log what we said of the model ourselves, without what MLflow says beside it."""
    for line in said.splitlines():
        if line.startswith(f"{model}: "):
            log.warning("follow      %s", line)


def fetch(model: str, settings: Settings, now: datetime, just_now: timedelta = timedelta(0)) -> Lineup:
    """Finish what an interrupted promotion left, and bring the champion, and who is on trial, into the cache.

    One process at a time; a note of the present reign and trial that another one made within `just_now` is taken as is.

    Raises UserError where there is no champion, IntegrityError where its artifact is not the one that the ledger
    promoted, and UnavailableError where registry or store do not answer: the cache stays as it was then.
    """
    cache = Cache(settings.home, model)
    with cache.turn():
        return _noted(cache, settings, now - just_now) or _ask(model, cache, settings, now)


def _noted(cache: Cache, settings: Settings, since: datetime) -> Lineup | None:
    """What somebody noted after `since`, if it is whole and still so."""
    noted = cache.lineup()
    if noted is None or noted.checked_at <= since:
        return None
    named = [noted.champion, *([noted.challenger] if noted.challenger else [])]
    trials = Canaries(settings.store_url).open(cache.model)
    held = noted.challenger.decision if noted.challenger else None
    is_so = Ledger(settings.store_url).fence(cache.model) == noted.fence
    is_so = is_so and (trials[-1].decision_id if trials else None) == held
    return noted if is_so and all(cache.version_folder(each.digest).exists() for each in named) else None


def _ask(model: str, cache: Cache, settings: Settings, now: datetime) -> Lineup:
    from evergreen.stages.open import connect, registry_of
    from evergreen.stages.scorer import find_champion
    from evergreen.store.reconcile import reconcile

    _, ledger = connect(settings)
    registry = registry_of(settings)
    reconcile(ledger, registry, model, now)
    # Asked before the champion: whoever is promoted in between is noticed at the next look.
    fence = ledger.fence(model)
    champion = find_champion(model, model, settings)
    challenger = _bring_challenger(champion, registry, cache, settings)
    lineup = Lineup(_bring(champion, cache, settings), fence, now, challenger)
    cache.note(lineup)
    cache.clear(lineup)
    return lineup


def _bring(found: Champion, cache: Cache, settings: Settings) -> CachedVersion:
    from evergreen.stages.open import tracking_of

    tracking = tracking_of(settings)

    def fetch_spec(folder: Path) -> None:
        with TemporaryDirectory(prefix="evergreen-spec-") as scratch:
            keep_spec(folder, tracking.fetch(found.run_id, SPEC, Path(scratch)))

    def fill(folder: Path) -> None:
        (folder / "download").mkdir()
        downloaded = tracking.download(found.source, folder / "download")
        read_verified(downloaded, found.digest)
        downloaded.rename(folder / MODEL)
        shutil.rmtree(folder / "download", ignore_errors=True)
        fetch_spec(folder)

    folder = cache.keep(found.digest, fill)
    if not cache.knows_spec(found.digest):
        fetch_spec(folder)
    until = found.trained_until
    return CachedVersion(found.version, found.digest, found.run_id, until.isoformat() if until else None)


def _bring_challenger(champion: Champion, registry: Registry, cache: Cache, settings: Settings) -> CachedVersion | None:
    """Who is tried beside this champion, if anybody is. What is wrong with it keeps the champion from nothing."""
    running = Canaries(settings.store_url).open(champion.model)
    trials = [trial for trial in running if trial.champion == champion.version]
    if not trials:
        return None
    trial = trials[-1]
    try:
        found = registry.version(champion.model, trial.challenger)
        if found.digest != trial.digest:
            raise IntegrityError(f"version {found.version} of {found.model} is not the artifact that was held")
        cached = _bring(found, cache, settings)
    except EvergreenError as error:
        print(f"{champion.model}: the challenger stays out: {error}", file=sys.stderr)
        return None
    return replace(cached, decision=trial.decision_id, trial=trial.rules.model_dump(mode="json"))


def _main(model: str) -> int:
    try:
        fetch(model, Settings.from_environment(os.environ), datetime.now(UTC), _JUST_NOW)
    except EvergreenError as error:
        print(" ".join(str(error).splitlines()), file=sys.stderr)
        return _FAILED
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
