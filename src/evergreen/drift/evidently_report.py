"""Everything that knows Evidently: a report whose scores and verdicts are handed in, never computed there."""

import json
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evergreen.drift.result import ColumnDrift

# Evidently keeps its tests in a module-wide registry; two reports at once would see each other's verdicts.
_ONE_AT_A_TIME = threading.Lock()
_DO_NOT_TRACK = "DO_NOT_TRACK"


@dataclass(frozen=True)
class Sides:
    """The two samples, with the same columns: float64 or text, each with some value."""

    reference: pd.DataFrame
    current: pd.DataFrame


def draw(columns: Sequence[ColumnDrift], sides: Sides, max_share: float, page: Path) -> dict[str, Any]:
    """Write the HTML page; Evidently's own JSON as plain values.

    Its table and its count of drifted columns are over the inputs, as the share is; target and prediction follow.
    """
    with _ONE_AT_A_TIME, _quiet(), _registered(columns) as tests:
        from evidently import Report
        from evidently.metrics import ValueDrift
        from evidently.presets import DataDriftPreset

        inputs = [c.column for c in columns if c.role == "input"]
        # Evidently speaks of drift from its bound on, the gate only above it.
        bound = float(np.nextafter(max_share, 2))
        overview = DataDriftPreset(
            columns=inputs,
            drift_share=bound,
            per_column_method={name: tests[name] for name in inputs},
            per_column_threshold={c.column: c.threshold for c in columns if c.role == "input"},
        )
        others = [
            ValueDrift(column=c.column, method=tests[c.column], threshold=c.threshold)
            for c in columns
            if c.role != "input"
        ]
        snapshot = Report([overview, *others], include_tests=True).run(*_datasets(sides))
        _worst_first(snapshot._widgets, columns)
        text = snapshot.get_html_str(as_iframe=False)
        page.write_text(text.replace(f"threshold is {bound}", f"threshold is above {max_share:g}"), encoding="utf-8")
        return json.loads(snapshot.json())


def _datasets(sides: Sides) -> tuple[Any, Any]:
    """Current and reference as Evidently takes them, every column's type said."""
    from evidently import DataDefinition, Dataset

    names = list(sides.reference.columns)
    numbers = [n for n in names if pd.api.types.is_numeric_dtype(sides.reference[n].dtype)]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=[n for n in names if n not in numbers])
    now, before = (Dataset.from_pandas(f, data_definition=definition) for f in (sides.current, sides.reference))
    return now, before


def _worst_first(widgets: Sequence[Any], columns: Sequence[ColumnDrift]) -> None:
    """Evidently sorts its table by score, which puts what drifted last where the score is a p-value."""
    ranked = sorted(columns, key=lambda c: (not c.drifted, -(c.effect or 0.0), c.column))
    place = {c.column: position for position, c in enumerate(ranked)}
    for widget in widgets:
        if isinstance(widget.params, dict) and "rowsPerPage" in widget.params:
            widget.params["data"].sort(key=lambda row: place[row["column_name"]])


@contextmanager
def _registered(columns: Sequence[ColumnDrift]) -> Iterator[dict[str, str]]:
    """The columns' verdicts as Evidently tests, for as long as a report is made: column to name of its test."""
    from evidently.legacy.calculations.stattests import registry
    from evidently.legacy.core import ColumnType

    tests = {c.column: f"evergreen: {c.method} of {c.column}" for c in columns}
    try:
        for column in columns:
            test = registry.StatTest(
                name=tests[column.column],
                display_name=describe(column),
                allowed_feature_types=[ColumnType.Numerical, ColumnType.Categorical],
                default_threshold=column.threshold,
            )
            registry.register_stattest(test, _answer(column))
        yield tests
    finally:
        for name in tests.values():
            for test in registry._registered_stat_tests.pop(name, {}).values():
                registry._impls.pop(test, None)
        for answer in [f for f, name in registry._registered_stat_test_funcs.items() if name in tests.values()]:
            del registry._registered_stat_test_funcs[answer]


def _answer(column: ColumnDrift) -> Callable[..., tuple[float, bool]]:
    # Evidently wants a number; a column that is gone has no score, and the verdict stands beside it.
    score = 0.0 if column.score is None else column.score

    def answer(*_: Any) -> tuple[float, bool]:
        return score, column.drifted

    return answer


def describe(column: ColumnDrift) -> str:
    """How the verdict was reached, for the report's table."""
    return f"{column.method} at full size: {column.why}"


@contextmanager
def _quiet() -> Iterator[None]:
    """No telemetry and no warnings of a library's own arithmetic, and everything as it was afterwards."""
    before = os.environ.get(_DO_NOT_TRACK)
    os.environ[_DO_NOT_TRACK] = "1"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if before is None:
            os.environ.pop(_DO_NOT_TRACK, None)
        else:
            os.environ[_DO_NOT_TRACK] = before
