import numpy as np
import pandas as pd
import pytest

from evergreen.checks import Outcome
from evergreen.drift.assess import assess
from evergreen.drift.profile import Profile, build_profile
from evergreen.spec.rules import ColumnDrift, DriftRules

FAIL, PASS, UNKNOWN = Outcome.FAIL, Outcome.PASS, Outcome.UNKNOWN
TYPES = {
    "amount": "number",
    "items": "integer",
    "flag": "boolean",
    "plan": "category",
    "note": "text",
    "gap": "number",
}
ROLES = dict.fromkeys(TYPES, "input")
RULES = DriftRules()


def table(rows, seed):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "amount": rng.lognormal(3, 1, rows),
            "items": rng.poisson(3, rows).astype(float),
            "flag": (rng.random(rows) < 0.3).astype(float),
            "plan": pd.Categorical(rng.choice(["basic", "plus", "pro"], rows, p=[0.6, 0.3, 0.1])),
            "note": pd.Series(rng.choice([f"n{i}" for i in range(40)], rows), dtype="str"),
            "gap": np.where(rng.random(rows) < 0.2, np.nan, rng.normal(size=rows)),
        }
    )


REFERENCE = table(3_000, 0)
PROFILE = build_profile(REFERENCE, TYPES)


def judge(current, rules=RULES, profile=PROFILE, roles=ROLES):
    return assess(current, profile, rules, roles)


def row(result, name):
    return next(c for c in result.columns if c.column == name)


def with_column(frame, name, values):
    return frame.assign(**{name: values})


def test_where_nothing_moved_nothing_is_drifted():
    result = judge(table(2_000, 1))
    assert result.share == 0.0
    assert [c.outcome for c in result.columns] == [PASS] * len(TYPES)
    assert (result.current_rows, result.reference_rows) == (2_000, 3_000)


def null_burst(frame):
    return frame.amount.where(np.arange(len(frame)) % 5 < 2)


PLANTED = {
    "a shift by half a standard deviation": ("gap", lambda f: f.gap + 0.5, "ks", "median"),
    "a null burst": ("amount", null_burst, "null share", "null rows 0.0% → 60.0%"),
    "nulls that stopped": (
        "gap",
        lambda f: f.gap.fillna(f.gap.sample(len(f), replace=True, random_state=0).median()),
        None,
        "null rows",
    ),
    "a point mass": ("amount", lambda f: f.amount.where(np.arange(len(f)) % 4 > 0, -1.0), "ks", "median"),
    "infinite values": ("amount", lambda f: f.amount.where(np.arange(len(f)) % 4 > 0, np.inf), "ks", "median"),
    "integers one higher": ("items", lambda f: f["items"] + 1, "ks", "median 3 → 4"),
    "a flag that is set more often": ("flag", lambda f: (np.arange(len(f)) % 2).astype(float), "chisquare", "share of"),
    "an unseen category": (
        "plan",
        lambda f: f.plan.astype(object).where(np.arange(len(f)) % 4 > 0, "max"),
        "chisquare",
        "'max'",
    ),
    "a swarm of unseen texts": (
        "note",
        lambda f: [f"x{i}" for i in range(len(f))],
        "chisquare",
        "have a value that is new",
    ),
    "all null": ("plan", lambda f: None, "chisquare", "every value is null now"),
    "all null numbers": ("amount", lambda f: np.nan, "ks", "every value is null now"),
    "words for numbers": ("amount", lambda f: "n/a", "ks", "was number, is"),
    "times for numbers": ("items", lambda f: pd.Timestamp("2013-01-01"), "ks", "was integer, is datetime64"),
    "numbers for categories": ("plan", lambda f: np.arange(len(f)), "chisquare", "have a value that is new"),
    "a constant": ("gap", lambda f: 0.0, "ks", "median"),
}


@pytest.mark.parametrize(("name", "values", "method", "says"), PLANTED.values(), ids=PLANTED.keys())
def test_planted_drift_is_found_in_its_column_and_in_no_other(name, values, method, says):
    clean = table(2_000, 1)
    result = judge(with_column(clean, name, values(clean)))
    found = row(result, name)
    assert found.outcome is FAIL, found
    assert method in (None, found.method)
    assert says in found.why
    assert result.drifted == (name,)
    assert result.share == pytest.approx(1 / len(TYPES))


def test_a_column_that_is_missing_now_is_drifted_and_the_others_are_judged():
    result = judge(table(2_000, 1).drop(columns="amount"))
    assert row(result, "amount").why == "the column is missing now"
    assert result.drifted == ("amount",)


def test_two_columns_of_one_name_are_drift():
    clean = table(2_000, 1)
    result = judge(pd.concat([clean, clean[["amount"]]], axis=1))
    assert result.drifted == ("amount",)
    assert "2 columns" in row(result, "amount").why


def test_a_column_that_is_all_null_on_both_sides_is_no_drift():
    empty = REFERENCE.assign(amount=np.nan)
    result = judge(table(2_000, 1).assign(amount=np.nan), profile=build_profile(empty, TYPES))
    assert row(result, "amount").outcome is PASS


def test_values_where_there_were_none_are_drift():
    result = judge(table(2_000, 1), profile=build_profile(REFERENCE.assign(amount=np.nan), TYPES))
    assert row(result, "amount").method == "null share"
    assert result.drifted == ("amount",)


@pytest.mark.parametrize("rows", [0, 1, 499])
def test_too_few_rows_are_unknown_for_every_column(rows):
    result = judge(table(2_000, 1).head(rows))
    assert result.share is None
    assert {c.outcome for c in result.columns} == {UNKNOWN}
    assert result.note == f"{rows} current rows against 3000 in the reference; 500 are needed on each side"


def test_too_few_rows_in_the_reference_are_unknown():
    result = judge(table(2_000, 1), profile=build_profile(REFERENCE.head(10), TYPES))
    assert result.share is None
    assert "10 in the reference" in result.note


@pytest.mark.parametrize("rows", [0, 1, 2, 3])
def test_a_handful_of_rows_is_judged_where_the_rules_ask_for_it(rows):
    result = judge(table(50, 1).head(rows), DriftRules(min_rows=1))
    assert (result.share is None) == (rows == 0)
    tiny = judge(table(50, 1).head(rows), DriftRules(min_rows=1), build_profile(REFERENCE.head(1), TYPES))
    assert tiny.drifted == ()


def test_the_order_of_columns_does_not_matter():
    current = table(2_000, 1).assign(amount=lambda f: f.amount * 1.3)
    turned = build_profile(REFERENCE[list(TYPES)[::-1]], dict(reversed(TYPES.items())))
    assert judge(current) == judge(current[list(TYPES)[::-1]], profile=turned)


def test_the_same_input_gives_the_same_result_from_a_stored_profile():
    current = table(2_000, 1).assign(amount=lambda f: f.amount * 1.3)
    assert judge(current) == judge(current, profile=Profile.from_json(PROFILE.to_json()))


def test_the_current_frame_is_left_as_it_was():
    current = table(2_000, 1)
    before = current.copy(deep=True)
    judge(current)
    pd.testing.assert_frame_equal(current, before)


def test_a_small_shift_is_no_drift_however_many_rows_show_it():
    current = table(200_000, 1).assign(gap=lambda f: f.gap + 0.1)
    found = row(judge(current), "gap")
    assert found.outcome is PASS
    assert found.score < 0.01
    assert found.effect < RULES.min_effect
    assert "too small to matter" in found.why
    assert row(judge(current, DriftRules(min_effect=0.0)), "gap").outcome is FAIL


def overridden(method, threshold, shift):
    rules = DriftRules(columns={"gap": ColumnDrift(method=method, threshold=threshold)})
    return row(judge(table(5_000, 1).assign(gap=lambda f: f.gap + shift), rules), "gap")


@pytest.mark.parametrize("method", ["wasserstein", "jensenshannon", "psi"])
def test_a_distance_is_drift_above_its_threshold_and_the_effect_floor_does_not_apply(method):
    score = overridden(method, 1.0, 0.2).score
    assert 0.01 < score < 1.0
    assert overridden(method, score * 1.001, 0.2).outcome is PASS
    assert overridden(method, score, 0.2).outcome is PASS
    assert overridden(method, score * 0.999, 0.2).outcome is FAIL


@pytest.mark.parametrize("method", ["ks", "chisquare"])
def test_a_test_is_drift_below_its_threshold(method):
    p = overridden(method, 0.5, 0.3).score
    assert 0 < p < 1e-6
    assert overridden(method, p * 2, 0.3).outcome is FAIL
    assert overridden(method, p, 0.3).outcome is PASS


@pytest.mark.parametrize("method", ["jensenshannon", "psi", "chisquare"])
def test_labels_take_the_methods_that_need_no_order(method):
    rules = DriftRules(columns={"plan": ColumnDrift(method=method, threshold=0.05)})
    current = table(2_000, 1).assign(plan=lambda f: pd.Categorical(["basic", "pro"] * 1_000))
    assert row(judge(current, rules), "plan").outcome is FAIL


@pytest.mark.parametrize("method", ["ks", "wasserstein"])
def test_a_method_that_needs_numbers_cannot_judge_labels(method):
    rules = DriftRules(columns={"plan": ColumnDrift(method=method, threshold=0.05)})
    result = judge(table(2_000, 1), rules)
    assert row(result, "plan").outcome is UNKNOWN
    assert "use chisquare" in row(result, "plan").why
    assert result.share == 0.0


def test_a_column_without_a_reference_is_unknown_and_counts_for_nothing():
    current = table(2_000, 1).assign(fresh=1.0)
    result = judge(current, roles=ROLES | {"fresh": "input", "nowhere": "input"})
    assert row(result, "fresh").outcome is row(result, "nowhere").outcome is UNKNOWN
    assert result.share == 0.0


def test_times_have_no_row():
    current = table(2_000, 1).assign(at=pd.Timestamp("2013-01-01"))
    assert judge(current, roles=ROLES | {"at": "input"}) == judge(current)


def test_target_and_prediction_have_rows_of_their_own_and_no_part_in_the_share():
    roles = ROLES | {"plan": "target", "amount": "prediction"}
    current = table(2_000, 1).assign(plan=pd.Categorical(["pro"] * 2_000), amount=1.0)
    result = judge(current, roles=roles)
    assert row(result, "plan").drifted
    assert row(result, "amount").drifted
    assert result.drifted == ()
    assert result.share == 0.0


def test_labels_that_are_not_known_yet_are_no_drift():
    late = table(4_000, 1)
    late["plan"] = late["plan"].where(np.arange(4_000) < 1_000)
    roles = ROLES | {"plan": "target"}
    assert row(judge(late, roles=roles), "plan").outcome is PASS
    late["plan"] = late["plan"].where(np.arange(4_000) < 100)
    assert row(judge(late, roles=roles), "plan").outcome is UNKNOWN
    assert row(judge(late.drop(columns="plan"), roles=roles), "plan").why == "no labels yet"
    assert row(judge(late.assign(plan=None), roles=roles), "plan").outcome is UNKNOWN


@pytest.mark.parametrize("dtype", ["Int64", "boolean", "bool", "object"])
def test_flags_are_flags_in_any_dtype(dtype):
    current = table(2_000, 1)
    assert judge(current.assign(flag=current.flag.astype(dtype))) == judge(current)
