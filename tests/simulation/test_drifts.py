"""Each kind of drift moves what it shall, and leaves the rest: measured on rows whose rule is known."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from evergreen.cli.main import app
from evergreen.errors import UserError
from evergreen.simulation.drifts import Columns, draw_rows
from evergreen.simulation.kinds import Drift

ROWS = 20_000
COLUMNS = Columns("late", True, ("weight", "price"), nullable=("weight",), floors=(("price", 0.0),))


def pool(seed=1):
    """Heavy parcels are late."""
    draw = np.random.default_rng(seed)
    weight, price = draw.gamma(2, 2, ROWS), draw.lognormal(2, 1, ROWS)
    late = draw.random(ROWS) < np.where(weight > 5, 0.9, 0.1)
    return pd.DataFrame({"weight": weight, "price": price, "late": np.where(late, "yes", "no")})


def drawn(drift, strength=1.0, columns=COLUMNS, rows=None):
    return draw_rows(pool() if rows is None else rows, columns, drift, strength, ROWS, np.random.default_rng(2))


def late_by_weight(rows):
    heavy = rows["weight"] > 5
    late = rows["late"] == "yes"
    return late[heavy].mean(), late[~heavy].mean()


def test_without_a_drift_rows_are_those_of_the_pool():
    rows = drawn(Drift.NONE)
    assert rows["weight"].mean() == pytest.approx(pool()["weight"].mean(), rel=0.03)
    assert late_by_weight(rows) == pytest.approx((0.9, 0.1), abs=0.02)


def test_a_covariate_drift_brings_other_rows_under_the_same_rule():
    rows = drawn(Drift.COVARIATE)
    assert rows["weight"].mean() > 1.2 * pool()["weight"].mean()
    assert late_by_weight(rows) == pytest.approx((0.9, 0.1), abs=0.03)


def test_a_concept_drift_turns_the_rule_of_the_same_rows():
    rows = drawn(Drift.CONCEPT)
    assert rows["weight"].mean() == pytest.approx(pool()["weight"].mean(), rel=0.03)
    assert late_by_weight(rows) == pytest.approx((0.1, 0.9), abs=0.02)


def test_half_a_concept_drift_turns_it_for_half_of_the_rows():
    rows = drawn(Drift.CONCEPT, 0.5)
    middle = pool()["weight"].quantile(0.5)
    light = rows[rows["weight"] < middle]
    assert (light["late"] == "yes").mean() == pytest.approx(0.1, abs=0.02)
    assert late_by_weight(rows)[0] == pytest.approx(0.1, abs=0.02)


def test_a_drift_of_the_prior_makes_the_rare_outcome_frequent_among_rows_that_look_as_before():
    rows, before = drawn(Drift.PRIOR), pool()
    assert (before["late"] == "yes").mean() < 0.4
    assert (rows["late"] == "yes").mean() == pytest.approx(2 / 3, abs=0.02)
    for label in ("yes", "no"):
        now, then = (frame[frame["late"] == label]["weight"].mean() for frame in (rows, before))
        assert now == pytest.approx(then, rel=0.04)


def test_a_broken_feed_loses_values_and_sends_impossible_ones():
    rows = drawn(Drift.BROKEN_FEED)
    assert rows["weight"].isna().mean() == pytest.approx(0.6, abs=0.02)
    assert (rows["price"] == -1).mean() == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize("drift", Drift)
def test_of_no_strength_nothing_happens(drift):
    rows = drawn(drift, 0.0)
    assert late_by_weight(rows) == pytest.approx((0.9, 0.1), abs=0.02)
    assert not rows.isna().any().any()


@pytest.mark.parametrize("drift", Drift)
def test_the_same_seed_draws_the_same_rows(drift):
    pd.testing.assert_frame_equal(drawn(drift), drawn(drift))


def test_numbers_turn_into_their_mirror_image_and_become_larger():
    table = pool().assign(days=lambda rows: rows["weight"] * 2).drop(columns="late")
    columns = Columns("days", False, ("weight", "price"))
    turned = drawn(Drift.CONCEPT, columns=columns, rows=table)
    assert np.corrcoef(turned["weight"], turned["days"])[0, 1] == pytest.approx(-1)
    assert drawn(Drift.PRIOR, columns=columns, rows=table)["days"].mean() > table["days"].mean()


def test_the_outcomes_of_a_table_without_numbers_turn_as_well():
    table, columns = pool()[["late"]], Columns("late", True, ())
    assert (drawn(Drift.CONCEPT, columns=columns, rows=table)["late"] == "no").mean() < 0.5


@pytest.mark.parametrize(
    ("drift", "columns", "lacks"),
    [
        (Drift.COVARIATE, Columns("late", True, ()), "inputs that are numbers"),
        (Drift.BROKEN_FEED, Columns("late", True, ("weight",)), "no input has max_null_share above 0"),
    ],
)
def test_a_drift_that_has_nothing_to_happen_to_is_an_error(drift, columns, lacks):
    with pytest.raises(UserError, match=lacks):
        drawn(drift, columns=columns)


@pytest.mark.parametrize(
    "columns", [Columns("late", True, (), nullable=("weight",)), Columns("late", True, (), floors=(("price", 0.0),))]
)
def test_a_feed_breaks_by_either_rule(columns):
    rows = drawn(Drift.BROKEN_FEED, columns=columns)
    assert rows["weight"].isna().any() != (rows["price"] == -1).any()


def test_nothing_is_sent_where_the_drift_could_not_set_in(project):
    project.change(schema__columns={})
    said = CliRunner().invoke(app, ["simulate", project.model, "--drift", "broken_feed", "--drift-after", "5000"])
    assert "no input has max_null_share above 0" in str(said.exception)
