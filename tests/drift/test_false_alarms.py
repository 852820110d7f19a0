"""How often the rule alarms where nothing moved: seeded, and bounded well outside what chance allows."""

import numpy as np
import pandas as pd
import pytest

from evergreen.drift.assess import assess
from evergreen.drift.profile import build_profile
from evergreen.spec.rules import DriftRules

RUNS = 120
# At a rate of 1 in 20, more than this happens in fewer than one of a thousand such series.
MOST = 14
# Without the floor that no small effect passes, so that the tests themselves are held to their level.
BARE = DriftRules(min_rows=1, min_effect=0.0)


def rows(rng, n, shift=0.0):
    numbers = {f"n{i}": rng.normal(shift, 1, n) for i in range(4)}
    labels = {
        f"c{k}": pd.Categorical.from_codes(rng.integers(0, k, n), [f"v{j}" for j in range(k)]) for k in (2, 9, 90)
    }
    rare = np.minimum(rng.zipf(1.6, n), 5_000).astype(str)
    nulls = np.where(rng.random(n) < 0.1, np.nan, rng.exponential(size=n))
    return pd.DataFrame({**numbers, **labels, "ids": rare, "count": rng.poisson(1, n) * 1.0, "gap": nulls})


TYPES = {c: "number" if c[0] == "n" or c in ("count", "gap") else "category" for c in rows(np.random.default_rng(0), 1)}


def alarms(current_rows, reference_rows, rules, shift=0.0):
    found = 0
    for seed in range(RUNS):
        rng = np.random.default_rng([seed, current_rows, reference_rows])
        profile = build_profile(rows(rng, reference_rows), TYPES)
        roles = dict.fromkeys(TYPES, "input")
        found += bool(assess(rows(rng, current_rows, shift), profile, rules, roles).drifted)
    return found


@pytest.mark.parametrize(("current", "reference"), [(200, 500), (500, 500), (3_000, 500), (500, 5_000)])
def test_where_nothing_moved_a_run_is_alarmed_in_one_of_twenty_at_most(current, reference):
    assert alarms(current, reference, BARE) <= MOST


def test_with_the_effect_floor_a_quiet_window_of_minimum_size_hardly_ever_alarms():
    assert alarms(500, 5_000, DriftRules()) <= 2


def test_the_same_rule_sees_a_shift_of_a_third_of_a_standard_deviation():
    assert alarms(1_000, 1_000, DriftRules(), shift=0.35) >= 0.95 * RUNS
