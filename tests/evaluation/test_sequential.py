"""Whoever looks after every batch is misled no more often than promised; with ordinary intervals they would be."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.evaluation.sequential import is_plausible, mean_interval, quantile_interval, share_interval
from evergreen.evaluation.totals import Losses, Totals, bucket_edges, latency_bucket

ALPHA = 0.05
TRIALS, LOOKS, BATCH = 200, 60, 50
counts = st.integers(0, 300)


def ever(misses):
    """In which share of the trials somebody who looks after every batch is misled at least once."""
    return np.mean([any(looks) for looks in misses])


@pytest.mark.parametrize("share", [0.01, 0.3, 0.95])
def test_a_true_share_is_hardly_ever_found_implausible_however_often_one_looks(share):
    draws = np.random.default_rng(1).binomial(BATCH, share, (TRIALS, LOOKS)).cumsum(axis=1)
    sizes = BATCH * np.arange(1, LOOKS + 1)
    assert ever(
        (not is_plausible(share, int(seen), int(size), ALPHA) for seen, size in zip(trial, sizes, strict=True))
        for trial in draws
    ) <= ALPHA  # fmt: skip
    # What everybody does instead: the interval of one look, looked at sixty times.
    seen = draws / sizes
    assert ever(abs(seen - share) > 1.96 * np.sqrt(share * (1 - share) / sizes)) > 3 * ALPHA


def test_a_true_mean_of_skewed_losses_is_hardly_ever_missed_however_often_one_looks():
    losses = np.random.default_rng(2).exponential(1.0, (TRIALS, LOOKS * BATCH))
    misses = []
    for sums in zip(*((losses**power).cumsum(axis=1) for power in (1, 2, 4)), strict=True):
        looks = [
            mean_interval(Losses(n, *(float(powers[n - 1]) for powers in sums)), ALPHA, planned=500)
            for n in range(BATCH, LOOKS * BATCH + 1, BATCH)
        ]
        misses.append([not found.lower <= 1.0 <= found.upper for found in looks])
    assert ever(misses) <= ALPHA


@pytest.mark.parametrize(("loss", "share", "planned"), [(10.0, 0.01, 50), (50.0, 0.002, 500)])
def test_a_mean_of_rare_large_losses_is_hardly_ever_missed_either(loss, share, planned):
    hits = np.random.default_rng(5).binomial(BATCH, share, (TRIALS, 4 * LOOKS)).cumsum(axis=1)
    guarded, bare = [], []
    for trial in hits:
        known = [(n * BATCH, float(seen)) for n, seen in enumerate(trial, start=1)]
        looks = [Losses(n, loss * seen, loss**2 * seen, loss**4 * seen) for n, seen in known]
        ends = [mean_interval(look, ALPHA, planned) for look in looks]
        guarded.append([not found.lower <= loss * share <= found.upper for found in ends])
        # What the variance alone says: as if the squares were of many small losses.
        ends = [mean_interval(replace(look, fourths=1e-9), ALPHA, planned) for look in looks]
        bare.append([not found.lower <= loss * share <= found.upper for found in ends])
    assert ever(guarded) <= ALPHA
    assert ever(bare) > 2 * ALPHA


@pytest.mark.parametrize("values", [[0.0] * 600, [0.3] * 600, [0.0] * 600 + [7.0] * 29])
def test_a_mean_may_be_anything_while_hardly_anything_has_varied(values):
    assert mean_interval(Losses.of(values), ALPHA, planned=500).upper == math.inf


def test_a_true_quantile_of_the_latency_is_hardly_ever_missed_however_often_one_looks():
    draw, true = np.random.default_rng(3), math.exp(1 + 1.6448536 * 0.5)
    misses = []
    for _ in range(40):
        seen, looks = Totals(), []
        for _ in range(30):
            batch = [latency_bucket(ms) for ms in draw.lognormal(1, 0.5, 100)]
            seen = seen + Totals(latencies={bucket: batch.count(bucket) for bucket in set(batch)})
            found = quantile_interval(seen.latencies, 0.95, ALPHA)
            looks.append(not found.lower <= true <= found.upper)
        misses.append(looks)
    assert ever(misses) <= ALPHA
    assert (found.lower, found.upper) == pytest.approx((true, true), rel=0.25)


@given(counts, counts)
def test_an_interval_holds_what_was_seen_and_ends_where_it_is_no_longer_plausible(right, wrong):
    found, total = share_interval(right, right + wrong, ALPHA), right + wrong
    assert 0 <= found.lower <= (right / total if total else 0.5) <= found.upper <= 1
    if total and found.lower > 0:
        assert not is_plausible(found.lower * 0.99, right, total, ALPHA)
    if total and found.upper < 1:
        assert not is_plausible(found.upper + (1 - found.upper) * 0.01, right, total, ALPHA)


def test_with_nothing_counted_everything_is_possible():
    assert (share_interval(0, 0, ALPHA).lower, share_interval(0, 0, ALPHA).upper) == (0, 1)
    assert mean_interval(Losses(499, 10.0, 10.0), ALPHA, planned=500).upper == math.inf
    assert quantile_interval({}, 0.95, ALPHA).upper == math.inf
    assert quantile_interval({0: 10}, 0.95, ALPHA).upper == math.inf


@given(st.floats(0.002, 1e6))
def test_a_latency_lies_in_its_bucket(latency_ms):
    lower, upper = bucket_edges(latency_bucket(latency_ms))
    assert lower * (1 - 1e-9) <= latency_ms <= upper * (1 + 1e-9)
    assert upper / lower < 1.1


@given(st.lists(st.tuples(counts, counts, st.integers(-20, 90)), max_size=5))
def test_totals_add_up_in_any_order_and_come_back_as_they_were(parts):
    totals = [Totals(a, b, {bucket: a}, Losses(a, b, a)) for a, b, bucket in parts]
    total = sum(totals, Totals())
    assert total == sum(reversed(totals), Totals())
    assert total.requests == sum(a for a, _, _ in parts)
    assert sum(total.latencies.values()) == total.requests
    assert Totals.from_dict(total.to_dict()) == total
