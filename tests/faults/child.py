"""What happens in the processes that are killed; they are forked from one that has imported everything."""

import errno
import importlib
import io
import json
import os
import signal
import sys
from contextlib import chdir
from dataclasses import dataclass, replace
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any

from evergreen.checks import Check, Outcome
from evergreen.gate.decision import Reason
from evergreen.registry.artifact import TOLERANCE, answer, difference, load_pipeline, read_requests, read_verified
from evergreen.registry.model import load
from evergreen.settings import Settings
from evergreen.stages.audit import audit
from evergreen.stages.open import registry_of, tracking_of
from evergreen.stages.promote import promote
from evergreen.stages.tidy import tidy
from evergreen.store.ledger import Ledger
from tests.faults.points import Point
from tests.project import FIRST, drive


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


def run(place: Place, as_of: datetime, point: Point | None = None, log: Path | None = None) -> None:
    """A whole run; at the point the process is killed as by `kill -9`."""
    _quiet(log)
    _leave_out_pictures()
    if point is not None:
        _lay(point)
    with chdir(place.folder):
        drive(place.model, as_of, place.settings, Reason.MANUAL, lambda stage: None)


def examine(place: Place, as_of: datetime, tidied: bool, answer: Path, log: Path) -> None:
    """What holds now, and what holds once it is reconciled, if so wished; read anew from the databases, as JSON."""
    _quiet(log)
    found = [_look(place)]
    if tidied:
        tidy(place.model, place.settings, as_of)
        found.append(_look(place))
    found[-1]["problems"] = [problem.what for problem in audit(place.settings).problems]
    answer.write_text(json.dumps(found))


def _look(place: Place) -> dict[str, Any]:
    settings, model = place.settings, place.model
    registry, ledger = registry_of(settings), Ledger(settings.store_url)
    champion = registry.champion(model)
    if champion is not None:
        load(tracking_of(settings), champion.source, champion.digest)
    return {
        "champion": champion.version if champion else None,
        "versions": sorted(registry.versions(model)),
        "crowns": [crown.version for crown in ledger.history(model)],
        "kinds": [entry.kind.value for entry in ledger.entries(model)][::-1],
        "running": len(tracking_of(settings).running(model)),
    }


def promote_now(place: Place, decision_id: int, start: Any, log: Path) -> None:
    """Give a recorded decision its effect, at the moment when everybody does."""
    _quiet(log)
    entry = Ledger(place.settings.store_url).entry(decision_id)
    tracking_of(place.settings).prepare()
    start.wait(60)
    promote(entry, place.settings, FIRST)


def decide(place: Place, many: int, log: Path) -> None:
    """Register the champion's artifact as so many versions more, and decide to promote each of them."""
    _quiet(log)
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


def _leave_out_pictures() -> None:
    """Three quarters of a run's time go to pictures, clocks and a process per smoke test, and none of it decides."""
    import evergreen.drift.report
    import evergreen.evaluation.evaluate
    import evergreen.evaluation.plots
    import evergreen.stages.promote

    evergreen.drift.report.render = lambda result, *_: result
    evergreen.evaluation.plots.draw = lambda *_: []
    evergreen.evaluation.evaluate.measure_latency = lambda *_: 1.0
    evergreen.stages.promote.smoke_test = smoke_here


def _lay(point: Point) -> None:
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


def _quiet(log: Path | None) -> None:
    """What this process says goes into a file, which is shown where a test fails."""
    sink = open(log, "a") if log else io.StringIO()  # noqa: SIM115 - it lives as long as the process
    sys.stdout = sys.stderr = sink
