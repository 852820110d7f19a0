import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from evergreen.drift import statistics
from evergreen.drift.compare import compare_values, read_current
from evergreen.drift.profile import build_profile
from evergreen.spec.rules import ColumnDrift

counts = st.lists(st.integers(0, 60), min_size=2, max_size=8).map(np.array).filter(lambda c: c.sum() > 0)
pairs = (
    st.integers(2, 8)
    .flatmap(lambda k: st.tuples(*[st.lists(st.integers(0, 60), min_size=k, max_size=k).map(np.array)] * 2))
    .filter(lambda p: p[0].sum() > 0 and p[1].sum() > 0)
)


def profile_of(values):
    return build_profile(pd.DataFrame({"x": values}), {"x": "number"}).columns["x"]


def ks_against_profile(reference, current):
    profile = profile_of(reference)
    part = compare_values(read_current(pd.Series(current), profile), profile, ColumnDrift(method="ks", threshold=0.05))
    return part.score, part.effect


@pytest.mark.parametrize("shift", [0.0, 0.02, 0.1, 0.5])
@pytest.mark.parametrize("sizes", [(200, 300), (5_000, 20_000), (50_000, 3_000)])
def test_ks_is_that_of_the_raw_rows_within_two_bins(sizes, shift):
    rng = np.random.default_rng([*sizes, int(100 * shift)])
    reference, current = rng.normal(size=sizes[0]), rng.normal(shift, size=sizes[1])
    p, d = ks_against_profile(reference, current)
    exact = stats.ks_2samp(reference, current, method="asymp")
    slack = 0.0 if sizes[0] == 200 else 2 / 1000
    assert exact.statistic - slack - 1e-12 <= d <= exact.statistic + 1e-12
    loosest = stats.kstwo.sf(exact.statistic - slack, round(sizes[0] * sizes[1] / sum(sizes)))
    assert exact.pvalue - 2e-5 <= p <= loosest + 2e-5


@pytest.mark.parametrize("n", [1, 2, 5, 30, 90])
def test_ks_of_few_rows_is_exact(n):
    rng = np.random.default_rng(n)
    reference, current = rng.normal(size=n), rng.normal(1, size=n + 2)
    p, d = ks_against_profile(reference, current)
    exact = stats.ks_2samp(reference, current, method="exact")
    assert d == pytest.approx(exact.statistic)
    assert p == pytest.approx(exact.pvalue, rel=1e-6)


def test_ks_of_two_values_is_the_test_of_two_proportions():
    reference, current = np.array([600, 400]), np.array([540, 460])
    assert statistics.ks(reference, current)[0] == pytest.approx(
        statistics.proportions((400, 1000), (460, 1000))[0], rel=1e-9
    )


@given(pairs)
def test_ks_of_repeated_values_is_never_less_certain_than_that_of_continuous_data(pair):
    p, d = statistics.ks(*pair)
    assert 0 <= d <= 1
    rows = [np.repeat(np.arange(len(side)), side) for side in pair]
    known = stats.ks_2samp(*rows, method="exact")
    assert d == pytest.approx(known.statistic)
    assert 0 <= p <= max(known.pvalue, stats.ks_2samp(*rows, method="asymp").pvalue) + 1e-9


@pytest.mark.parametrize("cells", [2, 3, 12])
def test_chisquare_is_that_of_the_contingency_table(cells):
    rng = np.random.default_rng(cells)
    reference, current = (rng.multinomial(n, np.full(cells, 1 / cells)) for n in (700, 2_000))
    table = stats.chi2_contingency(np.array([reference, current]), correction=False)
    assert statistics.chisquare(reference, current)[0] == pytest.approx(table.pvalue, rel=1e-9)


@given(pairs)
def test_chisquare_is_symmetric_and_pooling_loses_no_row(pair):
    p, effect = statistics.chisquare(*pair)
    assert (p, effect) == pytest.approx(statistics.chisquare(pair[1], pair[0]))
    assert 0 <= p <= 1
    assert 0 <= effect <= 1
    old, new = statistics.pool_rare(*pair)
    assert (old.sum(), new.sum()) == (pair[0].sum(), pair[1].sum())


def test_rare_cells_are_pooled_until_five_are_expected():
    old, new = statistics.pool_rare(np.array([500, 480, 9, 6, 3, 2]), np.array([480, 510, 4, 3, 2, 1]))
    assert old.tolist() == [480, 500, 9, 11]
    assert new.tolist() == [510, 480, 4, 6]


@given(counts, st.floats(0.5, 20))
def test_nothing_moved_where_the_shares_are_the_same(cells, factor):
    assert statistics.ks(cells, cells)[1] == 0
    assert statistics.chisquare(cells, cells * 3) == pytest.approx((1.0, 0.0))
    assert statistics.psi(cells, cells * 3) == pytest.approx(0)
    assert statistics.jensenshannon(cells, cells * 3) == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize(
    ("reference", "current", "certain"),
    [
        ([500, 500, 0], [450, 450, 100], True),  # one new label, often
        ([500, 500, 0], [500, 499, 1], False),  # one new label, once
        ([1] * 500 + [0] * 500, [0] * 500 + [1] * 500, False),  # order numbers: all new, as always
        ([10] * 500 + [0] * 100, [0] * 500 + [5] * 100, True),  # postcodes of another country
    ],
)
def test_new_labels_count_where_they_are_not_to_be_expected(reference, current, certain):
    p, _ = statistics.unseen(np.array(reference), np.array(current))
    assert (p < 0.001) == certain


def test_the_expected_share_of_new_labels_is_what_resampling_gives():
    rng = np.random.default_rng(0)
    rows = rng.zipf(1.5, size=3_000)
    shares, p_values = [], []
    for _ in range(200):
        picked = rng.permutation(rows)
        labels, codes = np.unique(picked, return_inverse=True)
        reference, current = (np.bincount(c, minlength=len(labels)) for c in (codes[:2_000], codes[2_000:]))
        p, beyond = statistics.unseen(reference, current)
        p_values.append(p)
        shares.append(beyond)
    assert np.mean(shares) < 0.01
    assert np.mean(np.array(p_values) < 0.05) <= 0.05


@pytest.mark.parametrize("table", [((20, 1000), (600, 1000)), ((200, 1000), (230, 900)), ((0, 500), (500, 500))])
def test_proportions_are_the_chi_square_of_the_two_by_two_table(table):
    (a, n), (b, m) = table
    expected = stats.chi2_contingency([[a, n - a], [b, m - b]], correction=False).pvalue
    p, effect = statistics.proportions(*table)
    assert p == pytest.approx(expected, rel=1e-6)
    assert effect == pytest.approx(abs(a / n - b / m))


def test_few_hits_are_tested_exactly():
    expected = stats.fisher_exact([[0, 800], [3, 700]]).pvalue
    assert statistics.proportions((0, 800), (3, 703))[0] == pytest.approx(expected)
    assert statistics.proportions((0, 800), (0, 700)) == (1.0, 0.0)


def test_wasserstein_is_that_of_the_raw_rows():
    rng = np.random.default_rng(0)
    reference, current = rng.lognormal(size=30_000), rng.lognormal(0.1, size=4_000)
    profile = profile_of(reference)
    got = statistics.wasserstein(np.array(profile.means), np.array(profile.counts), current, profile.std)
    expected = stats.wasserstein_distance(reference, current) / reference.std()
    assert got == pytest.approx(expected, abs=0.005)


def test_infinite_values_are_far_away_and_finite():
    moved = statistics.wasserstein(np.array([0.0, 1.0]), np.array([5, 5]), np.array([np.inf, 1.0]), 1.0)
    assert 1e99 < moved < np.inf


def test_jensenshannon_is_scipys_and_empty_cells_do_not_break_psi():
    reference, current = np.array([10, 0, 5]), np.array([3, 4, 0])
    assert statistics.jensenshannon(reference, current) == pytest.approx(distance.jensenshannon(reference, current))
    assert np.isfinite(statistics.psi(reference, current))


@given(st.lists(st.floats(0, 1), max_size=30))
def test_adjusting_keeps_the_order_and_never_lowers_a_p_value(p_values):
    adjusted = statistics.adjust(p_values)
    assert len(adjusted) == len(p_values)
    assert all(a >= p - 1e-12 for a, p in zip(adjusted, p_values, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= -1e-12).all() if len(order) else True
