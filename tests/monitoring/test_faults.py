"""Rows of a window are held to the rules of training: faults are found, and nothing else is."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from evergreen.checks import Outcome
from evergreen.data.frame import canonical_frame
from evergreen.data.synthetic.churn import generate
from evergreen.drift.profile import build_profile
from evergreen.monitoring.arrivals import Arrivals
from evergreen.monitoring.chance import LEVEL, exceeds
from evergreen.monitoring.faults import find_faults, judge_rules
from evergreen.monitoring.unseen import find_unseen
from evergreen.spec.model import ModelSpec
from evergreen.store.asked import Asked
from evergreen.store.window import SignalKind

SPEC = ModelSpec.model_validate(
    {
        "model": "churn",
        "task": "classification",
        "data": {"source": {"kind": "synthetic", "generator": "churn"}, "target": "churn", "time_column": "observed_at",
                 "id_column": "customer_id"},
        "schema": {
            "rows": {"at_least": 100_000},
            "freshness": "1d",
            "unique_key": ["customer_id"],
            "columns": {
                "quantity": {"type": "integer", "min": 0, "max_null_share": 0.05},
                "price": {"type": "number", "min": 0, "max_null_share": 0.05},
                "plan": {"type": "category", "allowed": ["basic", "plus", "pro"], "unseen": "warn"},
                "region": {"type": "category", "allowed": ["north", "south", "east", "west"], "unique": False},
            },
        },
        "features": {
            "derive": [{"name": "days_since_last", "kind": "days_since", "of": "last_purchase"}],
            "numeric": ["quantity", "price", "days_since_last"],
            "categorical": ["plan", "region"],
        },
        "training": {
            "split": {"kind": "time", "holdout": "30d"},
            "metric": "f1",
            "candidates": [{"kind": "logistic_regression"}],
        },
    }
)  # fmt: skip
INPUTS = list(SPEC.raw_inputs)
TYPES = {name: SPEC.column_types[name] for name in INPUTS}
SINCE = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def rows(number: int = 500, seed: int = 0, **options) -> pd.DataFrame:
    return canonical_frame(generate(number, seed, options), TYPES)


PROFILE = build_profile(rows(5000, 99), TYPES)


def arrivals(number: int) -> Arrivals:
    times = np.datetime64(SINCE.replace(tzinfo=None), "us") + np.linspace(1, 3599, number).astype("timedelta64[s]")
    return Arrivals(SINCE, SINCE + HOUR, times)


def look(frame: pd.DataFrame, spec: ModelSpec = SPEC, asked: Asked | None = None):
    return {signal.kind: signal for signal in find_faults(frame, spec, PROFILE, arrivals(len(frame)), (), asked)}


def broken(signal):
    return {(each["column"], each["rule"]): each for each in signal.details["broken"]}


def test_two_hundred_windows_without_a_fault_raise_nothing():
    draw, everything = np.random.default_rng(5), rows(200 * 600, 5)
    for place in range(200):
        window = everything.iloc[place * 600 :][: draw.integers(50, 600)].reset_index(drop=True)
        found = look(window)
        assert not [signal for signal in found.values() if signal.raised], place
        assert found[SignalKind.FAULTS].outcome is found[SignalKind.UNSEEN].outcome is Outcome.PASS


@pytest.mark.parametrize("number", [200, 500, 5000])
def test_a_broken_feed_is_a_fault_of_the_columns_that_broke(number):
    found = look(rows(number, 1, drift="broken_feed", drift_at="2025-01-01"))
    faults = broken(found[SignalKind.FAULTS])
    assert found[SignalKind.FAULTS].raised
    assert {("price", "min"), ("price", "point mass"), ("quantity", "max_null_share")} == set(faults)
    assert faults["price", "min"]["count"] == pytest.approx(0.6 * number, rel=0.15)
    assert faults["price", "min"]["examples"] == ("-1",)
    assert faults["quantity", "max_null_share"]["share"] == pytest.approx(0.4, abs=0.1)
    assert found[SignalKind.UNSEEN].raised
    assert "quantity" in found[SignalKind.UNSEEN].why


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"price": -0.5}, ("price", "min")),
        ({"region": "moon"}, ("region", "allowed")),
        ({"price": np.inf}, ("price", "finite")),
    ],
)
def test_one_row_breaks_a_rule_as_in_training(change, rule):
    frame = rows()
    ((name, value),) = change.items()
    frame[name] = frame[name].astype(object if isinstance(value, str) else float)
    frame.loc[17, name] = value
    frame = frame if isinstance(value, float) else canonical_frame(frame, TYPES)
    signal = judge_rules(frame, SPEC, PROFILE)
    assert signal.raised
    assert set(broken(signal)) == {rule}
    assert broken(signal)[rule]["count"] == 1
    assert "row 17" not in signal.why


def test_a_feed_without_values_is_a_fault():
    assert ("price", "not empty") in broken(judge_rules(rows().assign(price=np.nan), SPEC, PROFILE))


def test_what_only_warns_in_training_only_warns():
    frame = rows()
    frame["plan"] = frame["plan"].astype(object).where(frame.index > 0, "gold")
    signal = judge_rules(canonical_frame(frame, TYPES), SPEC, PROFILE)
    assert signal.outcome is Outcome.PASS
    assert [each["column"] for each in signal.details["warned"]] == ["plan"]


def test_rules_of_a_whole_table_do_not_apply():
    twice = pd.concat([rows(300)] * 2, ignore_index=True)
    assert judge_rules(twice, SPEC, PROFILE).outcome is Outcome.PASS


def test_a_value_that_takes_over_is_a_fault_only_if_it_was_rare():
    at_home = rows().assign(region=pd.Categorical(["west"] * 500, categories=["east", "north", "south", "west"]))
    assert not judge_rules(at_home, SPEC, PROFILE).raised
    assert ("price", "point mass") in broken(judge_rules(rows().assign(price=4711.0), SPEC, PROFILE))


@pytest.mark.parametrize(("nulls", "raised"), [(0, False), (34, False), (60, True)])
def test_a_share_is_a_fault_where_chance_does_not_explain_it(nulls, raised):
    frame = rows()
    frame.loc[: nulls - 1, "price"] = np.nan
    assert judge_rules(frame, SPEC, None).raised is raised


def test_what_is_left_out_of_capture_is_neither_looked_at_nor_shown():
    capture = SPEC.serving.capture.model_copy(update={"leave_out": ("price",)})
    spec = SPEC.model_copy(update={"serving": SPEC.serving.model_copy(update={"capture": capture})})
    found = look(rows().assign(price=-4711.25), spec)
    assert not found[SignalKind.FAULTS].raised
    assert found[SignalKind.FAULTS].details["not_looked_at"] == ["price"]
    assert "4711" not in str(found)
    # What serving counts of refused requests is the rule's name, and no value.
    refused = judge_rules(rows(), spec, PROFILE, Asked(500, 400, 0, {"price: min": 400}))
    assert [(each["column"], each["rule"], each["examples"]) for each in refused.details["broken"]] == [
        ("price", "min", ())
    ]


def test_rules_that_many_requests_break_are_faults_though_no_row_of_theirs_is_captured():
    many = judge_rules(rows(), SPEC, PROFILE, Asked(500, 400, 0, {"price: min": 390, "region: allowed": 10}))
    assert set(broken(many)) == {("price", "min")}
    assert "390 of 900 requests" in many.why
    few = judge_rules(rows(), SPEC, PROFILE, Asked(500, 4, 0, {"price: min": 4}))
    assert few.outcome is Outcome.PASS


def test_without_rows_only_refused_requests_can_say_something():
    nothing = rows(1).iloc[:0]
    assert judge_rules(nothing, SPEC, PROFILE).outcome is Outcome.UNKNOWN
    assert judge_rules(nothing, SPEC, PROFILE, Asked(0, 80, 0, {"price: min": 80})).raised
    assert find_unseen(nothing, INPUTS, PROFILE).outcome is Outcome.UNKNOWN
    assert find_unseen(rows(), INPUTS, None).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(("share", "raised"), [(0.0, False), (0.01, False), (0.1, True)])
def test_new_categories_are_unseen_from_a_share_that_matters(share, raised):
    frame = rows(2000, 3)
    new = np.arange(2000) < share * 2000
    frame["region"] = frame["region"].astype(object).where(~new, "moon")
    signal = find_unseen(canonical_frame(frame, TYPES), INPUTS, PROFILE)
    assert signal.raised is raised
    assert ("moon" in signal.why) is raised


def test_fewer_nulls_than_before_are_no_fault():
    reference = rows(5000, 98)
    reference.loc[:999, "price"] = np.nan
    assert find_unseen(rows(), INPUTS, build_profile(reference, TYPES)).outcome is Outcome.PASS


def test_a_column_that_cannot_be_read_any_more_is_unseen():
    profile = replace(PROFILE, columns={"plan": replace(PROFILE.columns["price"])})
    signal = find_unseen(rows(), ["plan"], profile)
    assert signal.raised
    assert "cannot be read as number" in signal.why


@pytest.mark.parametrize("rows_", [30, 300, 3000])
@pytest.mark.parametrize("bound", [0.01, 0.05, 0.3])
def test_chance_explains_all_but_one_window_in_a_thousand(rows_, bound):
    hits = np.random.default_rng(rows_).binomial(rows_, bound, 20_000)
    alarms = {hit: exceeds(int(hit), rows_, bound) for hit in np.unique(hits)}
    assert np.mean([alarms[hit] for hit in hits]) <= 2 * LEVEL
    assert exceeds(rows_, rows_, bound)
