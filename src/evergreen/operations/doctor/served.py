"""Serving: whether it answers where `evergreen up` runs it, and whether it serves whom the ledger calls champion."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from evergreen.operations.doctor.finding import Finding, asked, fine, first_line, unknown, wrong
from evergreen.operations.doctor.patient import Patient
from evergreen.store.entry import Crown
from evergreen.store.health import read_state as read_store
from evergreen.store.ledger import Ledger
from evergreen.store.tables import HEAD
from evergreen.supervisor.state import read_state, up_folder

SERVING = "serving"
_LOOK_SECONDS = 3.0


def look_at_serving(patient: Patient) -> Iterator[Finding]:
    """What answers requests, where it is a part of `evergreen up`."""
    yield asked(SERVING, lambda: _look(patient))


def judge_serving(said: Mapping[str, Any], crowns: Mapping[str, Crown], now: datetime, patience: timedelta) -> Finding:
    """What /ready says, against who is champion of each model: it may be behind for as long as `patience`."""
    models = said.get("models")
    if models is None:
        # With keys only who has one is told more.
        return fine(SERVING, f"{said.get('status')}; a key would be told which versions")
    served = {name: (state.get("champion") or {}).get("version") for name, state in models.items()}
    late = [
        _lateness(crown, served.get(name), models.get(name, {}))
        for name, crown in crowns.items()
        if served.get(name) != crown.version and now - crown.at > patience
    ]
    if late:
        return wrong(SERVING, "; ".join(late), "read what it says: up/logs/serving.log")
    if problem := (said.get("capture") or {}).get("problem"):
        return wrong(SERVING, f"predictions cannot be kept: {problem}", "see that the store can be written")
    shown = ", ".join(f"version {version} of {name}" for name, version in served.items() if version is not None)
    return fine(SERVING, shown or "waits for a first champion")


def _lateness(crown: Crown, version: int | None, state: Mapping[str, Any]) -> str:
    who = "nobody answers" if version is None else f"version {version} answers"
    since = f"version {crown.version} is champion since {crown.at:%Y-%m-%d %H:%M} UTC"
    problem = state.get("problem")
    return f"{crown.model}: {who}, and {since}" + (f" ({problem})" if problem else "")


def _look(patient: Patient) -> Finding:
    home = patient.settings.home
    up = read_state(home)
    if up is None:
        return fine(SERVING, "not run by evergreen up here")
    if up.serving is None:
        return fine(SERVING, "left out: evergreen up was started with --no-serve")
    import httpx

    try:
        said = httpx.get(f"{up.serving}/ready", timeout=_LOOK_SECONDS).json()
    except (httpx.HTTPError, ValueError) as error:
        what = f"{up.serving} does not answer ({first_line(error)})"
        return wrong(SERVING, what, f"read {up_folder(home) / 'logs' / 'serving.log'}")
    state = read_store(patient.settings.store_url)
    if state is None or state.revision != HEAD:
        return unknown(SERVING, f"{up.serving} answers; who is champion cannot be read")
    return judge_serving(said, _crowns(patient), patient.clock(), patient.bounds.behind)


def _crowns(patient: Patient) -> dict[str, Crown]:
    ledger = Ledger(patient.settings.store_url)
    reigns = {model: ledger.history(model) for model in ledger.models()}
    return {model: crowns[-1] for model, crowns in reigns.items() if crowns}
