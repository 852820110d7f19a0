"""How often a window alarms where nothing moved: seeded, and bounded where a rule that is off would not stay."""

import numpy as np
import pandas as pd
import pytest

from evergreen.drift.profile import build_profile
from evergreen.monitoring.drift import Yardstick, measure_counts
from evergreen.spec.monitoring import DriftPolicy

REFERENCES, WINDOWS = 12, 8
# At a rate of 1 in 20, more than this happens in fewer than one of a thousand such series.
MOST = 12
# Without the floor that no small effect passes, so that the thresholds themselves are held to their level.
BARE = DriftPolicy(min_effect=0.0, resamples=200)
TYPES = {name: "category" if name[0] == "c" else "number" for name in ("n0", "n1", "n2", "gap", "count", "c3", "c200")}
ROLES = {**dict.fromkeys(TYPES, "input"), "count": "prediction"}


def rows(rng, n, shift=0.0):
    """Numbers that depend on each other, nulls, values that repeat, and many labels that are as rare as each other."""
    common = rng.normal(size=n)
    numbers = {f"n{i}": common + rng.normal(shift, 1, n) for i in range(3)}
    labels = {f"c{k}": rng.integers(0, k, n).astype(str) for k in (3, 200)}
    gap = np.where(rng.random(n) < 0.1, np.nan, rng.exponential(size=n))
    return pd.DataFrame({**numbers, "gap": gap, "count": rng.poisson(1, n) * 1.0, **labels})


def alarms(current_rows, reference_rows, rules, shift=0.0):
    """Windows of input drift and of prediction drift, over references and windows of each."""
    found = np.zeros(2, dtype=int)
    for seed in range(REFERENCES):
        rng = np.random.default_rng([seed, current_rows, reference_rows])
        reference = rows(rng, reference_rows)
        yardstick = Yardstick(build_profile(reference, TYPES), reference, ROLES, {}, rules, seed)
        for _ in range(WINDOWS):
            window = yardstick.begin().add(rows(rng, current_rows, shift))
            found += [signal.raised for signal in measure_counts(window, yardstick)]
    return found


# The last of these is larger than its reference: most of what differs is the reference's own chance.
@pytest.mark.parametrize(("current", "reference"), [(200, 500), (500, 5_000), (3_000, 1_000)])
def test_where_nothing_moved_a_window_alarms_in_one_of_twenty_at_most(current, reference):
    inputs, answers = alarms(current, reference, BARE)
    assert inputs <= MOST
    assert answers <= MOST


def test_the_same_rule_sees_numbers_that_moved_by_a_third_of_a_standard_deviation():
    assert alarms(500, 5_000, BARE, shift=0.5)[0] >= 0.9 * REFERENCES * WINDOWS
