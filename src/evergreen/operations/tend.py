"""Tending: one look at everything that keeps a running set-up in order, and what there is to do about it."""

import logging
import os
from collections.abc import Callable, Mapping
from datetime import datetime

from evergreen.address import redacted
from evergreen.errors import EvergreenError
from evergreen.operations.crashed import Watch, look_after_runs
from evergreen.operations.relay import NO_HASTE, Pace, relay
from evergreen.operations.retention import forget_traffic
from evergreen.operations.silence import notice_silence
from evergreen.operations.specs import Specs, read_specs
from evergreen.orchestrator.api import PrefectApi
from evergreen.settings import Settings
from evergreen.store.canary import Canaries
from evergreen.store.ledger import Ledger

log = logging.getLogger("evergreen.tend")


def tend(
    settings: Settings,
    api: PrefectApi | None,
    now: datetime,
    environ: Mapping[str, str] | None = None,
    pace: Pace = NO_HASTE,
) -> list[str]:
    """One pass: canaries, overdue approvals, dead runs, silence, and then what people are told. A line a thing done.

    A part that fails says so in its line, and the others go on. Without a server, or with one that does not answer,
    what concerns it waits. `environ` holds the addresses of channels; the process's own by default. `pace` has the time
    while messages are sent, and ends that early.
    """
    environ = os.environ if environ is None else environ
    try:
        Ledger(settings.store_url).prepare()
    except EvergreenError as error:
        return [f"store: {error}"]
    specs, lines = read_specs(settings)
    if api is not None and not api.health():
        lines.append(f"prefect: the server at {redacted(api.url)} does not answer; alerts and dead runs wait for it")
        api = None
    parts: dict[str, Callable[[], list[str]]] = {
        "canaries": lambda: _advance(settings, now),
        "approvals": lambda: _expire(specs, settings, now),
        "crashed": lambda: [] if api is None else look_after_runs(Watch(api, settings, now, _pages(api, environ))),
        "silence": lambda: notice_silence(specs, settings, now),
        "relay": lambda: relay(specs, settings, api, environ, now, pace),
        "traffic": lambda: forget_traffic(specs, settings, now),
    }
    for name, part in parts.items():
        lines += _attempt(name, part)
    return lines


def _attempt(name: str, part: Callable[[], list[str]]) -> list[str]:
    try:
        return part()
    except EvergreenError as error:
        return [f"{name}: {error}"]
    except Exception as error:
        # Ours to mend; until then the other parts, and the next pass, still do their work.
        log.exception("%s: this should not have happened", name)
        return [f"{name}: {type(error).__name__}, see the log"]


def _advance(settings: Settings, now: datetime) -> list[str]:
    canaries = Canaries(settings.store_url)
    if not canaries.unended() and not canaries.watched(now):
        return []
    from evergreen.stages.canary import advance_canaries

    return [
        f"canaries: {entry.model}: {entry.kind} of version {entry.version}: {'; '.join(entry.reasons)}"
        for entry in advance_canaries(settings, now)
    ]


def _expire(specs: Specs, settings: Settings, now: datetime) -> list[str]:
    within = {spec.model: spec.promotion.approve_within for spec in specs.values()}
    pending = Ledger(settings.store_url).pending(None)
    if not any(entry.model in within and now - entry.decided_at >= within[entry.model] for entry in pending):
        return []
    # The registry comes with it, which a process that only looks does without.
    from evergreen.stages.answer import expire

    return [
        f"approvals: decision {entry.resolves} of {entry.model} was not answered in time and is rejected"
        for entry in expire(settings, now, within)
    ]


def _pages(api: PrefectApi, environ: Mapping[str, str]) -> str:
    return (environ.get("PREFECT_UI_URL") or api.url.removesuffix("/api")).rstrip("/")
