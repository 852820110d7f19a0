"""What `evergreen serve` puts together, and how that ends."""

import gc
import json
import logging
import os
import secrets
import socket
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import typer

from evergreen.cli.forked import run_forked
from evergreen.cli.launch import environment
from evergreen.errors import UnavailableError, UserError
from evergreen.serving.asked import AskedWriter, Asking
from evergreen.serving.cache import CachedVersion, read_spec
from evergreen.serving.capture import Capture
from evergreen.serving.document import row_example
from evergreen.serving.fetch import fetch_apart
from evergreen.serving.follow import Follower
from evergreen.serving.handles import ServedModel
from evergreen.serving.ids import Ids
from evergreen.serving.join import Joiner, models_to_serve
from evergreen.serving.kept import kept_of
from evergreen.serving.keys import Keys, Scope
from evergreen.serving.limits import Limits
from evergreen.serving.load import load_served
from evergreen.serving.loaded import LoadedModels
from evergreen.serving.observer import Observer
from evergreen.serving.security import require_safe_host
from evergreen.serving.server import open_socket, run_server
from evergreen.serving.service import Dependencies, build_app
from evergreen.serving.shadow import Shadow
from evergreen.serving.trial import Trials
from evergreen.settings import Settings
from evergreen.stages.open import find_model
from evergreen.store.asked import Requests
from evergreen.store.canary import Canaries
from evergreen.store.ledger import Ledger
from evergreen.store.traffic import Traffic
from evergreen.store.traffic_writer import TrafficWriter

log = logging.getLogger("evergreen.serve")

GRACE_SECONDS = 30.0
FLUSH_SECONDS = 10.0
SHADOW_SECONDS, OBSERVE_SECONDS = 2.0, 5.0


@dataclass(frozen=True)
class ServeOptions:
    """What the command line says."""

    models: tuple[str, ...]
    host: str
    port: int
    workers: int = 1
    durable: bool = False
    keys: Path | None = None
    rate: float | None = None
    wait: bool = False


def run(options: ServeOptions, settings: Settings) -> None:
    """Serve until told to stop.

    Raises UserError for an unsafe address, and EvergreenError where nothing can be served and nothing is waited for.
    """
    keys = Keys.from_environment(os.environ, options.keys)
    require_safe_host(options.host, keys)
    logging.basicConfig(format="%(asctime)s %(levelname)-7s %(message)s", level=logging.INFO)
    with environment(settings), open_socket(options.host, options.port) as listening:
        _prepare(settings)
        work = _plan(options, settings, keys)
        work.begin(options.wait)
        _greet(work, listening)
        if options.workers == 1:
            work.serve(listening)
        else:
            run_forked(options.workers, lambda: work.serve(listening))


def parse_scopes(names: Sequence[str]) -> list[Scope]:
    """Scopes by their names. Raises UserError."""
    try:
        return [Scope(name) for name in names]
    except ValueError:
        raise UserError(f"there are the scopes {', '.join(Scope)}") from None


@dataclass(frozen=True)
class _Work:
    """What a process that serves needs; everything that runs is started by `serve`, so that it may be forked before."""

    loaded: LoadedModels
    joiner: Joiner
    capture: Capture
    settings: Settings
    keys: Keys
    limits: Limits

    def begin(self, wait: bool) -> None:
        """Load the models: all of them, or, where the others may come later, what the cache holds."""
        for name in self.loaded.names:
            follower = self.joiner.make(name)
            if not wait:
                follower.start()
            elif not follower.resume():
                continue
            self.joiner.followers[name] = follower

    def serve(self, listening: socket.socket) -> None:
        """Answer until told to stop, and leave nothing behind that was answered and not kept."""
        clock, stop, nonce = _now, threading.Event(), secrets.token_hex(6)
        trials, shadow, asking = Trials(), Shadow(self.capture), Asking(clock)
        dependencies = Dependencies(
            self.loaded,
            clock,
            Ids(clock(), nonce),
            self.capture,
            Traffic(self.settings.store_url),
            self.keys,
            self.limits,
            self.joiner.followers,
            trials,
            shadow,
            asking,
        )
        app = build_app(dependencies, version("evergreen"))
        threading.Thread(target=self.joiner.join, args=(stop,), name="join", daemon=True).start()
        counting = self._count(trials, asking, f"serve-{os.getpid()}-{nonce}", stop)
        # What is alive now stays alive: no collection looks through it again.
        gc.collect()
        gc.freeze()
        try:
            run_server(app, listening, GRACE_SECONDS)
        finally:
            shadow.close(SHADOW_SECONDS)
            stop.set()
            for thread in counting:
                thread.join(OBSERVE_SECONDS)
            lost = self.capture.close(FLUSH_SECONDS)
        log.info(
            "stopped; %s", f"{lost} predictions could not be kept" if lost else "everything that was asked is kept"
        )

    def _count(self, trials: Trials, asking: Asking, process: str, stop: threading.Event) -> list[threading.Thread]:
        """Bring what is counted to the store, from now on until `stop` is set."""
        url = self.settings.store_url
        writers = (Observer(trials, Canaries(url), process, _now), AskedWriter(asking, Requests(url), process))
        threads = [threading.Thread(target=each.run, args=(stop,), daemon=True) for each in writers]
        for thread in threads:
            thread.start()
        return threads


def _plan(options: ServeOptions, settings: Settings, keys: Keys) -> _Work:
    wanted = tuple(dict.fromkeys(find_model(name, settings) for name in options.models))
    names = wanted or models_to_serve((), (), settings)
    if not names and not options.wait:
        raise UserError("no model has a champion yet; evergreen run MODEL trains one, and --wait waits for it")
    loaded, capture = LoadedModels(names), Capture(TrafficWriter(settings.store_url), _now)

    def load(folder: Path, cached: CachedVersion) -> ServedModel:
        served = load_served(folder, cached)
        if cached.decision is None:
            # What is kept of a challenger's answers is what is kept of the champion's: the two are compared.
            rules = kept_of(read_spec(folder))
            capture.follow(served.model, replace(rules, durable=rules.durable or options.durable), served.version)
        return served

    joiner = Joiner(
        lambda known: models_to_serve(wanted, known, settings),
        lambda name: Follower(name, settings, loaded, load, fetch_apart, _now),
        _now,
    )
    limits = Limits(per_second=options.rate, burst=max(1, int(options.rate or 0)))
    return _Work(loaded, joiner, capture, settings, keys, limits)


def _prepare(settings: Settings) -> None:
    """Bring the store up to date. While it is down, what is in the cache is served all the same."""
    try:
        Ledger(settings.store_url).prepare()
    except UnavailableError as error:
        log.warning("serve       %s; serving goes on from the cache", error)


def _greet(work: _Work, listening: socket.socket) -> None:
    """Say where it is and how to ask, in lines that can be typed."""
    host, port = listening.getsockname()[:2]
    root = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    key = " -H 'authorization: Bearer '$KEY" if work.keys.wanted else ""
    lines = [f"serving on {root}, documents at {root}/docs; Ctrl-C stops it"]
    if not work.loaded.ready:
        lines.append("a model answers from its first champion on, which is waited for")
    for name, place in work.loaded.places.items():
        if (served := place.champion) is not None:
            lines += [f"{served.title}, engine {served.engine.name}{_because(served)}", _curl(root, name, served, key)]
    typer.echo("\n".join(lines))
    sys.stdout.flush()


def _because(served: ServedModel) -> str:
    return f" ({served.engine.why})" if served.engine.why else ""


def _curl(root: str, name: str, served: ServedModel, key: str) -> str:
    body = json.dumps(row_example(served)).replace("'", "'\\''")
    return f"  curl {root}/models/{name}/predict{key} -H 'content-type: application/json' -d '{body}'"


def _now() -> datetime:
    return datetime.now(UTC)
