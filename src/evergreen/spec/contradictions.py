"""What parts of a spec say against each other: each of them may be right alone."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from evergreen.errors import SpecError
from evergreen.spec.columns import PREDICTION
from evergreen.spec.data import TrafficSource
from evergreen.spec.derivation import derivation
from evergreen.spec.features import Arithmetic

if TYPE_CHECKING:
    from evergreen.spec.model import ModelSpec

# What each runner connects to, with an example.
_ADDRESSES = {
    "dask": (re.compile(r"(?:tcp|tls)://[^/\s]+:\d+"), "tcp://scheduler:8786"),
    "ray": (re.compile(r"(?:ray://)?[^/\s]+:\d+"), "ray://head:10001"),
}


def contradictions(spec: "ModelSpec") -> Iterator[str]:
    """One message each. Later ones build on earlier ones: only the first is sure to hold."""
    yield from _of_features(spec)
    yield from _of_columns(spec)
    yield from _of_drift(spec)
    yield from _of_search(spec)
    yield from _of_canary(spec)
    yield from _of_monitoring(spec)
    yield from _of_serving(spec)
    yield from _of_traffic(spec)


def _of_features(spec: "ModelSpec") -> Iterator[str]:
    features, data = spec.features, spec.data
    if data.target == data.time_column:
        yield f"data: {data.target!r} is both target and time_column"
    if not features.columns:
        yield "features: name at least one column under numeric or categorical"
    if spec.time_ordered and data.time_column is None:
        yield "training.split: kind time needs data.time_column; without one use kind random"
    names = [d.name for d in features.derive]
    if len(set(names)) < len(names):
        yield "features.derive: two derived columns share a name"
    both = set(features.numeric) & set(features.categorical)
    if both:
        yield f"features: {sorted(both)[0]!r} is both numeric and categorical"
    for item in features.derive:
        if isinstance(item, Arithmetic) and item.kind in ("difference", "ratio") and len(item.of) != 2:
            yield f"features.derive: {item.kind} of {item.name!r} takes exactly two columns"
    try:
        raw = derivation(features, data.time_column).raw
    except SpecError as error:
        yield str(error)
        return
    if data.target in (*features.columns, *raw):
        yield f"features: the target {data.target!r} is among the features"


def _of_columns(spec: "ModelSpec") -> Iterator[str]:
    data, derived = spec.data, {item.name for item in spec.features.derive}
    if PREDICTION in derived or PREDICTION in spec.column_types:
        yield f"no column may be called {PREDICTION!r}: drift calls the champion's answers so; rename it in a query"
    time, target = (spec.table.columns.get(name) for name in (data.time_column or "", data.target))
    if time is not None and time.type != "datetime":
        yield f"schema.columns.{data.time_column}: is data.time_column, so its type is datetime, not {time.type}"
    if target is None:
        return
    where = f"schema.columns.{data.target}"
    if spec.task == "regression" and target.type not in ("integer", "number"):
        yield f"{where}: is the target of a regression, so its type is number or integer, not {target.type}"
    if spec.task == "classification" and target.type == "datetime":
        yield f"{where}: is the target of a classification, so its type is category, not datetime"
    if spec.task == "classification" and (target.min, target.max) != (None, None):
        yield f"{where}: min and max are for numbers, and a classification has classes; use type category and allowed"


def _of_drift(spec: "ModelSpec") -> Iterator[str]:
    compared = (*spec.compared_sources, *spec.compared_derived, spec.data.target, PREDICTION)
    unknown = sorted(set(spec.drift.columns) - set(compared))
    if unknown:
        yield f"drift.columns: {unknown[0]!r} is not compared; choose one of {', '.join(compared)}"


def _of_search(spec: "ModelSpec") -> Iterator[str]:
    if spec.training.start == "champion" and not spec.time_ordered:
        yield "training.start: champion learns rows newer than the champion's; training.split has to be kind time"
    search, where = spec.training.search, "training.search"
    if search.address is None:
        return
    if search.runner not in _ADDRESSES:
        yield f"{where}.address: is of a cluster, and runner {search.runner} uses none; choose runner dask or ray"
        return
    form, example = _ADDRESSES[search.runner]
    if not form.fullmatch(search.address):
        yield f"{where}.address: {search.address!r} is no address of runner {search.runner}; write it like {example}"
    if search.workers is not None:
        yield f"{where}: the cluster at {search.address} has the workers that it has; leave workers out, or address"


def _of_canary(spec: "ModelSpec") -> Iterator[str]:
    where, mode, rules = "promotion.canary", spec.promotion.mode, spec.promotion.canary
    if rules is None:
        return
    if mode != "canary":
        yield f"{where}: promotion.mode is {mode}, and nothing would be tried; write mode: canary, or leave canary out"
    if not rules.conditions:
        known = "max_error_increase, max_error_share, max_latency_ratio, quality"
        yield f"{where}: nothing would ever stop it; give at least one of {known}"
    if rules.kind == "split" and rules.share == 1:
        yield f"{where}.share: the champion would answer nothing; write less than 1, or kind: shadow"
    if rules.quality is not None:
        yield from _of_loss(f"{where}.quality.metric", rules.quality.metric, spec)
    # Leaving the id_column out is no contradiction: labels that name a prediction_id find both sides.
    if rules.quality is not None and spec.serving.capture.share == 0:
        why = "reads labels of captured answers, and serving.capture.share: 0 captures none"
        yield f"{where}.quality: {why}; write a share above 0, or leave quality out"


def _of_loss(where: str, metric: str, spec: "ModelSpec") -> Iterator[str]:
    if (metric == "mae") != (spec.task == "regression"):
        choices = "mae" if spec.task == "regression" else "accuracy, brier, log_loss"
        yield f"{where}: no {metric} for a {spec.task}; choose one of {choices}"


def _of_monitoring(spec: "ModelSpec") -> Iterator[str]:
    where, rules = "monitoring", spec.monitoring
    if rules.realised.metric is not None:
        yield from _of_loss(f"{where}.realised.metric", rules.realised.metric, spec)
    if rules.max_rows < rules.min_rows:
        yield f"{where}.max_rows: {rules.max_rows} is less than min_rows, {rules.min_rows}: no window would have enough"


def _of_serving(spec: "ModelSpec") -> Iterator[str]:
    name = spec.data.id_column
    known = (*spec.raw_inputs, *(() if name is None or name in spec.raw_inputs else (name,)))
    unknown = sorted(set(spec.serving.capture.leave_out) - set(known))
    if unknown:
        yield f"serving.capture.leave_out: no request has {unknown[0]!r}; choose one of {', '.join(known)}"


def _of_traffic(spec: "ModelSpec") -> Iterator[str]:
    """What a source of traffic needs of capture, and of requests: rows are only what these carry."""
    source, data = spec.data.source, spec.data
    if not isinstance(source, TrafficSource):
        return
    where, carried = "data.source (traffic)", {*spec.raw_inputs, data.target, data.time_column, data.id_column}
    if beside := sorted(set(spec.column_types) - carried):
        yield f"{where}: no request carries {beside[0]!r}, which is no feature; make it one, or take it out of the spec"
    if source.model not in (None, spec.model):
        return
    if spec.serving.capture.share == 0:
        yield f"{where}: serving.capture.share: 0 captures nothing to learn from; write a share above 0"
    if left := [name for name in spec.serving.capture.leave_out if name in spec.column_types]:
        yield f"{where}: serving.capture.leave_out: {left[0]!r} is never kept, and training needs it; take one back"
