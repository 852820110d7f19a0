"""A spec whose weeks pass in minutes, so that one can watch what else takes a season."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from evergreen.errors import UserError
from evergreen.spec.base import format_duration


@dataclass(frozen=True)
class Pace:
    """How long things take in accelerated time; `rows` a second are expected."""

    window: timedelta = timedelta(seconds=60)
    holdout: timedelta = timedelta(seconds=20)
    label_delay: timedelta = timedelta(seconds=2)
    rows_per_second: float = 100.0
    window_rows: int = 1_500
    cooldown: timedelta = timedelta(seconds=60)


def accelerate(values: Mapping[str, Any], base: str, pace: Pace) -> dict[str, Any]:
    """The spec of a file, as YAML reads it, for accelerated time: it learns from traffic beside the Parquet file
    `base`, looks every minute, and promotes by itself. What decides over a model stays, but for the latency of this
    machine and the age of the rows.

    Raises UserError for a model without a time column: nothing of it can pass faster.
    """
    data = dict(values["data"])
    if not data.get("time_column"):
        raise UserError(f"{values['model']}: has no data.time_column, so there is no time that could pass faster")
    source = {"kind": "traffic", "base": {"kind": "parquet", "path": base}}
    data |= {"source": source, "window": format_duration(pace.window), "label_delay": format_duration(pace.label_delay)}
    table = {key: value for key, value in values.get("schema", {}).items() if key != "freshness"}
    changed = {
        "data": data,
        "schema": table,
        "training": _training(values["training"], pace),
        "drift": {**values.get("drift", {}), "window": None, "cooldown": format_duration(pace.cooldown)},
        "gates": _gates(values.get("gates", {})),
        "promotion": {"mode": "automatic"},
        "schedule": {"active": False},
        "monitoring": _monitoring(values.get("monitoring", {}), pace),
        "serving": {},
        "notify": [],
    }
    return {**values, **changed}


def _training(training: Mapping[str, Any], pace: Pace) -> dict[str, Any]:
    split = {**training["split"]}
    if split["kind"] == "time":
        split = {"kind": "time", "holdout": format_duration(pace.holdout)}
    return {**training, "split": split}


def _gates(gates: Mapping[str, Any]) -> dict[str, Any]:
    absolute = {name: bound for name, bound in gates.get("absolute", {}).items() if not name.startswith("latency")}
    against = gates.get("against_champion")
    # Rows of one second are a block, as those of a day are otherwise.
    relative = {"against_champion": {**against, "block": "1s"}} if against else {}
    return {**gates, "absolute": absolute, **relative}


def _monitoring(monitoring: Mapping[str, Any], pace: Pace) -> dict[str, Any]:
    quick = {"cron": "* * * * *", "active": True, "min_rows": pace.window_rows, "max_wait": "5m", "grace": "1s"}
    return {**monitoring, **quick, "cooldown": format_duration(pace.cooldown), "budget": 100}
