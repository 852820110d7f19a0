"""Planted drift is found where the model looks, listed where it does not, and nothing is found where nothing is."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.checks import Outcome
from evergreen.drift.profile import build_profile
from evergreen.monitoring.drift import Yardstick, measure_counts, measure_drift
from evergreen.spec.monitoring import DriftPolicy
from evergreen.store.window import SignalKind

TYPES = {"price": "number", "age": "number", "visits": "integer", "plan": "category", "prediction": "number"}
ROLES = dict.fromkeys(("price", "age", "visits", "plan"), "input") | {"prediction": "prediction", "churn": "target"}
IMPORTANCE = {"price": 0.2, "plan": 0.1, "visits": 0.0005, "age": 0.0}
# Fewer draws than in production: what is planted here is nowhere near a threshold.
RULES = DriftPolicy(resamples=100)


def shop(seed, rows):
    rng = np.random.default_rng(seed)
    price = rng.lognormal(2, 0.5, rows)
    return pd.DataFrame(
        {
            "price": np.where(rng.random(rows) < 0.05, np.nan, price),
            "age": 40 + 10 * rng.normal(size=rows),
            "visits": rng.poisson(3, rows) * 1.0,
            "plan": pd.Categorical(rng.choice(["basic", "plus", "pro"], rows, p=[0.6, 0.3, 0.1])),
            "prediction": 1 / (1 + np.exp(2 - price / 5)),
        }
    )


REFERENCE = shop(0, 5_000)
PROFILE = build_profile(REFERENCE, TYPES)


def measure(window, importance=IMPORTANCE, reference=REFERENCE, rules=RULES):
    return measure_drift(window, reference, PROFILE, ROLES, importance, rules, seed=1)


def columns_of(signal):
    return {column["column"]: column for column in signal.details["columns"]}


def test_a_window_like_the_reference_is_quiet():
    inputs, answers = measure(shop(1, 500))
    assert (inputs.kind, answers.kind) == (SignalKind.INPUT_DRIFT, SignalKind.PREDICTION_DRIFT)
    assert inputs.outcome is answers.outcome is Outcome.PASS
    assert inputs.value < inputs.bound


def test_the_reference_itself_is_no_distance_away():
    inputs, answers = measure(REFERENCE)
    assert inputs.value == pytest.approx(0, abs=1e-12)
    assert answers.value == pytest.approx(0, abs=1e-12)


def new_plan(window):
    return window.assign(plan=window["plan"].astype(object).where(window.index % 5 > 0, "max"))


def swapped_plans(window):
    return window.assign(plan=window["plan"].cat.rename_categories(["pro", "basic", "plus"]))


def dearer(window):
    return window.assign(price=window["price"] * 1.5)


PLANTED = {
    "a price half as high again": ("price", dearer),
    "prices that are lost": ("price", lambda w: w.assign(price=w["price"].where(w.index % 4 > 0))),
    "a price nobody sends": ("price", lambda w: w.assign(price=np.nan)),
    "words for prices": ("price", lambda w: w.assign(price="cheap")),
    "a plan that is new": ("plan", new_plan),
    "plans that changed places": ("plan", swapped_plans),
}


@pytest.mark.parametrize(("column", "plant"), PLANTED.values(), ids=PLANTED)
def test_drift_of_an_important_column_is_found_in_500_rows(column, plant):
    inputs, answers = measure(plant(shop(2, 500)))
    assert inputs.raised
    assert inputs.value > inputs.bound
    assert [name for name, found in columns_of(inputs).items() if found["raised"]] == [column]
    assert column in inputs.why
    assert not answers.raised


@pytest.mark.parametrize("column", ["age", "visits"], ids=["no importance", "hardly any"])
def test_drift_of_an_unimportant_column_is_listed_and_not_raised(column):
    window = shop(3, 500)
    inputs, _ = measure(window.assign(**{column: window[column] + 12}))
    found = columns_of(inputs)[column]
    assert not inputs.raised
    assert (found["moved"], found["raised"]) == (True, False)
    assert found["effect"] > found["threshold"]
    assert column in inputs.why


def test_without_importance_every_column_counts_and_the_signal_says_so():
    window = shop(3, 500)
    inputs, _ = measure(window.assign(age=window["age"] + 12), importance={})
    assert inputs.raised
    assert "no importance is known" in inputs.why
    assert {column["weight"] for column in inputs.details["columns"]} == {0.25}


def test_many_columns_that_move_a_little_are_found_together():
    names = [f"n{i}" for i in range(20)]
    rng = np.random.default_rng(4)
    reference, window = (pd.DataFrame(rng.normal(size=(rows, 20)), columns=names) for rows in (20_000, 2_000))
    profile = build_profile(reference, dict.fromkeys(names, "number"))
    inputs, _ = measure_drift(window + 0.08, reference, profile, dict.fromkeys(names, "input"), {}, RULES, seed=1)
    assert inputs.details["score"] > inputs.details["score_bound"]
    assert inputs.raised


def test_answers_that_moved_are_found_where_inputs_hold_still():
    window = shop(5, 500)
    inputs, answers = measure(window.assign(prediction=window["prediction"] ** 2))
    assert (inputs.raised, answers.raised) == (False, True)
    assert "prediction" in answers.why


@pytest.mark.parametrize(("floor", "raised"), [(0.0, True), (0.02, True), (0.6, False)])
def test_drift_below_the_floor_is_none_however_certain(floor, raised):
    inputs, _ = measure(dearer(shop(6, 2_000)), rules=RULES.model_copy(update={"min_effect": floor}))
    assert inputs.raised is raised
    assert inputs.bound >= floor


@pytest.mark.parametrize("window", [shop(7, 0), pd.DataFrame()], ids=["no rows", "no columns"])
def test_a_window_without_rows_says_that_it_cannot_tell(window):
    assert [signal.outcome for signal in measure(window)] == [Outcome.UNKNOWN] * 2


def test_a_column_that_the_reference_does_not_have_is_named_and_not_judged():
    roles = {**ROLES, "coupon": "input"}
    inputs, _ = measure_drift(shop(1, 500).assign(coupon=1.0), REFERENCE, PROFILE, roles, IMPORTANCE, RULES, seed=1)
    assert inputs.details["not_compared"] == ["coupon"]
    assert "coupon" not in columns_of(inputs)


def test_a_column_that_was_never_captured_is_no_drift():
    inputs, _ = measure(shop(1, 500).drop(columns="price"))
    assert not inputs.raised
    assert inputs.details["not_compared"] == ["price"]


def test_without_the_sample_the_counts_of_the_profile_stand_in():
    assert not measure(shop(1, 500), reference=None)[0].raised
    assert measure(dearer(shop(2, 500)), reference=None)[0].raised


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_neither_the_order_of_rows_nor_the_pieces_they_come_in_change_anything(seed, pieces):
    window = shop(8, 300)
    mixed = window.sample(frac=1, random_state=seed)
    yardstick = Yardstick(PROFILE, REFERENCE, ROLES, IMPORTANCE, RULES, seed=1)
    counts = yardstick.begin()
    for places in np.array_split(np.arange(len(mixed)), pieces):
        counts = counts.add(mixed.iloc[places])
    assert measure_counts(counts, yardstick) == measure(window)


@settings(max_examples=8, deadline=None)
@given(st.floats(-1e6, 1e6, allow_nan=False), st.floats(0, 1))
def test_a_column_without_weight_never_raises_whatever_becomes_of_it(value, share):
    window = shop(9, 300)
    moved = window["age"].where(np.arange(300) >= share * 300, value)
    before, after = measure(window)[0], measure(window.assign(age=moved))[0]
    assert (after.outcome, after.value, after.bound) == (before.outcome, before.value, before.bound)
