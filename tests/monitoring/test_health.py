"""Errors, latency, age and skew: raised over their bounds, unknown where nobody measured."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from evergreen.checks import Outcome
from evergreen.monitoring.health import judge_age, judge_errors, judge_latency, judge_skew, look_at_health
from evergreen.spec.model import ModelSpec
from evergreen.store.asked import Asked
from evergreen.store.window import SignalKind

NOW = datetime(2026, 3, 2, tzinfo=UTC)
PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN


def spec(**health) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "model": "m",
            "task": "regression",
            "data": {"source": {"kind": "csv", "path": "x.csv"}, "target": "y"},
            "features": {"numeric": ["x"]},
            "training": {
                "split": {"kind": "random", "holdout": 0.2},
                "metric": "mae",
                "candidates": [{"kind": "ridge"}],
            },
            "gates": {"absolute": {"latency_p95_ms": {"at_most": 50}}},
            "monitoring": {"health": health},
        }
    )


@pytest.mark.parametrize(
    ("asked", "outcome"),
    [
        (None, UNKNOWN),
        (Asked(0, 40, 0), UNKNOWN),
        (Asked(1000, 0, 0), PASS),
        (Asked(1000, 500, 12), PASS),  # 1.2 %: chance
        (Asked(100_000, 0, 1400), FAIL),  # 1.4 %, of many
        (Asked(970, 0, 30), FAIL),
        (Asked(0, 0, 20), FAIL),
    ],
)
def test_failed_requests_are_raised_where_chance_does_not_explain_them(asked, outcome):
    assert judge_errors(asked, 0.01).outcome is outcome


def test_refused_requests_are_told_and_are_no_errors():
    signal = judge_errors(Asked(990, 500, 10), 0.05)
    assert signal.value == pytest.approx(0.01)
    assert "500 more were refused" in signal.why


@pytest.mark.parametrize(("slow", "outcome"), [(0, PASS), (55, PASS), (90, FAIL)])
def test_latency_is_raised_where_more_than_a_twentieth_is_slow_for_certain(slow, outcome):
    latencies = np.concatenate([np.full(1000 - slow, 8.0), np.full(slow, 80.0)])
    assert judge_latency(latencies, 50).outcome is outcome


def test_a_latency_without_a_bound_is_told():
    signal = judge_latency([3.0, 4.0], None)
    assert (signal.outcome, signal.value, signal.bound) == (PASS, 4.0, None)
    assert judge_latency([], 50).outcome is UNKNOWN


@pytest.mark.parametrize(
    ("days", "limit", "outcome"),
    [(3, None, PASS), (3, 5, PASS), (5, 5, PASS), (6, 5, FAIL), (None, None, PASS), (None, 5, UNKNOWN)],
)
def test_a_champion_may_be_so_old(days, limit, outcome):
    trained_until = None if days is None else NOW - timedelta(days=days)
    assert judge_age(trained_until, None if limit is None else timedelta(days=limit), NOW).outcome is outcome


def test_one_row_that_is_answered_otherwise_is_skew():
    assert judge_skew(200, 200, 0.0).outcome is PASS
    assert judge_skew(200, 199, float("inf")).outcome is FAIL
    assert judge_skew(200, 0, 0.0, "version 3 is gone").why == "version 3 is gone"
    assert judge_skew(0, 0, 0.0).outcome is UNKNOWN


def test_bounds_come_from_the_spec_and_latency_is_that_of_requests():
    answers = pa.table({"request": ["a"] * 400 + ["b"] * 3, "latency_ms": [400.0] * 400 + [None, 9.0, 9.0]})
    errors, latency, age = look_at_health(answers, Asked(10), None, spec(max_error_share=0.2), NOW)
    assert [s.kind for s in (errors, latency, age)] == [SignalKind.ERRORS, SignalKind.LATENCY, SignalKind.AGE]
    assert (errors.bound, latency.bound) == (0.2, 50)
    assert latency.value == 400
    assert latency.outcome is PASS  # one slow request of two is chance
    own = look_at_health(answers, None, None, spec(latency_p95_ms=7), NOW)[1]
    assert own.bound == 7
