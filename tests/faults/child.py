"""What happens in the processes that are killed; they are forked from one that has imported everything."""

import errno
import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache, wraps
from pathlib import Path
from typing import Any

from evergreen.checks import Check, Outcome
from evergreen.evaluation.totals import Totals
from evergreen.gate.decision import Reason
from evergreen.registry.answers import is_served
from evergreen.registry.artifact import TOLERANCE, answer, difference, load_pipeline, read_requests, read_verified
from evergreen.registry.model import load
from evergreen.registry.tracking import Tracking
from evergreen.settings import Settings
from evergreen.stages.answer import approve, expire, reject
from evergreen.stages.audit import audit
from evergreen.stages.canary import advance_canaries
from evergreen.stages.open import registry_of, tracking_of
from evergreen.stages.pin import pin, unpin
from evergreen.stages.promote import promote
from evergreen.stages.rollback import Target, rollback
from evergreen.stages.tidy import tidy
from evergreen.store import database
from evergreen.store.canary import Canaries
from evergreen.store.facts import FactKind
from evergreen.store.ledger import Ledger
from evergreen.store.outbox import Outbox
from evergreen.store.pins import Pins
from tests.faults.points import Point
from tests.faults.proxy import PATIENCE_SECONDS
from tests.project import FIRST, SECOND, drive

# Later than every decision, by more than anybody is waited for.
LATER = datetime(2036, 5, 2, 9, tzinfo=UTC)
WHO = ("eva", "seen the report")
HASTY = "in haste"
_FINE, _BAD = Totals(20_000, 20, {0: 20_000}), Totals(1_000, 500, {0: 1_000})
# A server that fails is asked again at once.
MANNERS = {"MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": str(PATIENCE_SECONDS)}


@dataclass(frozen=True)
class Place:
    """A project's folder, and where its databases are if they are not files in it."""

    folder: Path
    model: str = "tiny"
    store: str | None = None
    tracking: str | None = None

    @property
    def settings(self) -> Settings:
        addresses = {"EVERGREEN_HOME": str(self.folder / "home"), "EVERGREEN_CONFIGS": str(self.folder / "configs")}
        given = {"EVERGREEN_STORE_URL": self.store, "MLFLOW_TRACKING_URI": self.tracking}
        return Settings.from_environment(addresses | {name: value for name, value in given.items() if value})


def _run(place: Place, as_of: datetime) -> None:
    with chdir(place.folder):
        drive(place.model, as_of, place.settings, Reason.MANUAL, lambda stage: None)


def _held(place: Place) -> int:
    """The decision that waited, whether or not it is answered by now."""
    entries = Ledger(place.settings.store_url).entries(place.model)[::-1]
    return next(e.id for e in entries if e.kind.value == "HOLD" and e.id is not None)


def _move_alias(place: Place) -> None:
    """What somebody does in MLflow's own pages."""
    tracking_of(place.settings).client.set_registered_model_alias(place.model, "champion", "1")


def _count(place: Place, challenger: Totals) -> None:
    """What serving counts in a trial."""
    canaries = Canaries(place.settings.store_url)
    (trial,) = canaries.open(place.model)
    canaries.observe(trial.decision_id, "champion", "a", _FINE, SECOND)
    canaries.observe(trial.decision_id, "challenger", "a", challenger, SECOND)


def _roll_back(place: Place, to_pin: bool) -> None:
    rollback(place.model, Target(pin=to_pin), *WHO, place.settings, LATER)


# What is commanded, and killed, and commanded again.
COMMANDS: dict[str, Callable[[Place], Any]] = {
    "first run": lambda place: _run(place, FIRST),
    "run": lambda place: _run(place, SECOND),
    "approve": lambda place: approve(_held(place), *WHO, place.settings, LATER),
    "reject": lambda place: reject(_held(place), *WHO, place.settings, LATER),
    "expire": lambda place: expire(place.settings, LATER, {place.model: timedelta(days=7)}),
    "roll back": lambda place: _roll_back(place, to_pin=False),
    "roll back and pin": lambda place: _roll_back(place, to_pin=True),
    "pin": lambda place: pin(place.model, *WHO, place.settings, LATER),
    "move the alias": _move_alias,
    "reconcile": lambda place: tidy(place.model, place.settings, LATER),
    "count what is fine": lambda place: _count(place, _FINE),
    "count what is bad": lambda place: _count(place, _BAD),
    "judge": lambda place: advance_canaries(place.settings, SECOND),
    "unpin": lambda place: unpin(place.model, *WHO, place.settings, LATER),
}


def act(place: Place, command: str, point: Point | str | None, log: Path) -> None:
    """Do what is commanded; at the point the process is killed as by `kill -9`. In haste, no lock is waited for."""
    _begin(place, log)
    if point == HASTY:
        database.WAIT_SECONDS = 0.1
    elif point is not None:
        _lay(point)
    COMMANDS[command](place)


def recover(place: Place, command: str, answer: Path, log: Path) -> None:
    """What holds now, once it is reconciled, and once the same is commanded again; in one JSON file.

    A process of its own asks, as MLflow keeps files open.
    """
    _begin(place, log)
    found: dict[str, Any] = {"struck": _look(place), "reconciled": tidy(place.model, place.settings, LATER)}
    found["settled"] = _look(place) | {"problems": _problems(place)}
    try:
        COMMANDS[command](place)
        found["again"] = ""
    except Exception as error:
        traceback.print_exc()
        found["again"] = str(error)
    found["done"] = _look(place) | {"problems": _problems(place)}
    answer.write_text(json.dumps(found))


def examine(place: Place, answer: Path, log: Path) -> None:
    """What holds now, as JSON."""
    _begin(place, log)
    answer.write_text(json.dumps(_look(place) | {"problems": _problems(place)}))


def _problems(place: Place) -> list[str]:
    return [problem.what for problem in audit(place.settings).problems]


def _look(place: Place) -> dict[str, Any]:
    """What is there, read anew from the databases."""
    settings, model = place.settings, place.model
    registry, ledger = registry_of(settings), Ledger(settings.store_url)
    champion = registry.champion(model)
    if champion is not None:
        load(tracking_of(settings), champion.source, champion.digest)
    told = Outbox(settings.store_url).due("nobody", tuple(FactKind), LATER, FIRST)
    pinned = Pins(settings.store_url).pinned(model)
    return {
        "champion": champion.version if champion else None,
        "aliases": registry.aliases(model),
        "versions": sorted(registry.versions(model)),
        "crowns": [crown.version for crown in ledger.history(model)],
        "kinds": [entry.kind.value for entry in ledger.entries(model)][::-1],
        "waiting": len(ledger.pending(model)),
        "intended": len(ledger.intended(model)),
        "told": sorted(fact.kind.value for fact in told if fact.kind is not FactKind.NOTE),
        "pinned": [pinned.by, pinned.why] if pinned else None,
        "running": len(tracking_of(settings).running(model)),
    }


def promote_now(place: Place, decision_id: int, start: Any, log: Path) -> None:
    """Give a recorded decision its effect, at the moment when everybody does."""
    _begin(place, log)
    entry = Ledger(place.settings.store_url).entry(decision_id)
    tracking_of(place.settings).prepare()
    start.wait(60)
    promote(entry, place.settings, FIRST)


def decide(place: Place, many: int, log: Path) -> None:
    """Register the champion's artifact as so many versions more, and decide to promote each of them."""
    _begin(place, log)
    settings, ledger = place.settings, Ledger(place.settings.store_url)
    client = tracking_of(settings).client
    known = client.get_model_version(place.model, "1")
    (entry,) = ledger.entries(place.model)
    for _ in range(many):
        made = client.create_model_version(place.model, known.source, run_id=known.run_id, tags=known.tags)
        version = int(made.version)
        decision = replace(entry, id=None, version=version, champion_before=1, champion_after=version, intention=None)
        ledger.record(replace(decision, fence=ledger.fence(place.model)))


def smoke_here(tracking: Any, uri: str, digest: str) -> Check:
    """The smoke test in this process."""
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        files = read_verified(tracking.download(uri, Path(scratch)), digest)
    requests, expected = read_requests(files)
    apart = difference(expected, answer(load_pipeline(files), requests))
    return Check("smoke_test", Outcome.PASS if apart <= TOLERANCE else Outcome.FAIL, apart, "", "asked here")


def _begin(place: Place, log: Path) -> None:
    """What this process says goes into a file, which is shown where a test fails; what decides nothing is left out.

    Three quarters of a run's time go to pictures, clocks and a process per smoke test.
    """
    sys.stdout = sys.stderr = open(log, "a")  # noqa: SIM115 - it lives as long as the process
    os.environ.update(MANNERS)
    import evergreen.drift.report
    import evergreen.evaluation.evaluate
    import evergreen.evaluation.plots

    evergreen.drift.report.render = lambda result, *_: result
    evergreen.evaluation.plots.draw = lambda *_: []
    evergreen.evaluation.evaluate.measure_latency = lambda *_: 1.0
    if place.tracking is None or not is_served(place.tracking):
        # Every stage makes a client of its own, which asks a database first of all whether it is one.
        Tracking.client = property(cache(Tracking.client.func))
    for stage in ("answer", "moved_answer", "promote", "rollback"):
        importlib.import_module(f"evergreen.stages.{stage}").smoke_test = smoke_here


def _lay(point: Any) -> None:
    """Wrap the target so that the process dies around its nth call."""
    module, _, path = point.target.partition(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for step in owners:
        owner = getattr(owner, step)
    original, calls = getattr(owner, name), 0

    @wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == point.nth and point.when == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if calls == point.nth and point.when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **kwargs)
        if calls == point.nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, wrapped)
