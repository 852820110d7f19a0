from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.checks import Outcome, to_markdown
from evergreen.data.snapshot import Fault, Snapshot
from evergreen.drift.profile import build_profile
from evergreen.spec import ModelSpec
from evergreen.spec.rules import DriftRules
from evergreen.validation.point_mass import newest_rows
from evergreen.validation.validate import Validation, validate

ROWS = 1000
AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
Frame = pd.DataFrame


def make_spec(task: str = "classification", **table: Any) -> ModelSpec:
    columns = {
        "price": {"type": "number", "min": 0, "max": 1000, "max_null_share": 0.05},
        "plan": {"type": "category", "allowed": ["basic", "plus", "pro"], "unseen": "warn"},
        "customer": {"type": "text", "unique": True},
    }
    return ModelSpec.model_validate(
        {
            "model": "churn",
            "task": task,
            "data": {
                "source": {"kind": "csv", "path": "churn.csv"},
                "target": "left",
                "time_column": "at",
                "id_column": "customer",
            },
            "schema": {"rows": {"at_least": 100}, "columns": columns, **table},
            "features": {"numeric": ["price", "visits"], "categorical": ["plan"]},
            "training": {
                "split": {"kind": "time", "holdout": "30d"},
                "metric": "accuracy" if task == "classification" else "mae",
                "candidates": [{"kind": "hist_gradient_boosting"}],
            },
        }
    )


def make_frame(rows: int = ROWS, seed: int = 0) -> Frame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "at": pd.date_range(AS_OF.replace(tzinfo=None) - timedelta(days=100), periods=rows, freq="2h"),
            "customer": pd.Series([f"c{i}" for i in range(rows)], dtype="str"),
            "price": rng.uniform(1, 900, rows),
            "visits": rng.integers(0, 50, rows).astype(float),
            "plan": pd.Categorical(rng.choice(["basic", "plus", "pro"], rows), categories=["basic", "plus", "pro"]),
            "left": pd.Categorical(rng.choice(["no", "yes"], rows, p=[0.7, 0.3])),
        }
    )


def make_snapshot(frame: Frame, faults: tuple[Fault, ...] = ()) -> Snapshot:
    newest = frame["at"].max()
    last = None if pd.isna(newest) else newest.to_pydatetime().replace(tzinfo=UTC)
    return Snapshot("s.parquet", "d", len(frame), int(frame["left"].notna().sum()), AS_OF, None, last, faults)


def judge(frame: Frame, spec: ModelSpec | None = None, reference: Any = None, **others: Any) -> Validation:
    return validate(frame, make_snapshot(frame), spec or make_spec(), reference, **others)


def put(column: str, value: Any, rows: Any) -> Callable[[Frame], Frame]:
    def planted(frame: Frame) -> Frame:
        values = frame[column].copy()
        values.iloc[rows] = value
        return frame.assign(**{column: values})

    return planted


@dataclass(frozen=True)
class Column:
    top: dict[Any, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Reference:
    columns: dict[str, Column]


REFERENCE = Reference(
    {
        "price": Column(),
        "visits": Column({float(n): 0.02 for n in range(50)}),
        "plan": Column(dict.fromkeys(["basic", "plus", "pro"], 0.33)),
    }
)


def test_a_sound_table_passes_without_a_warning() -> None:
    validation = judge(make_frame(), make_spec(freshness="30d", unique_key=["customer"], max_duplicate_share=0))

    assert validation.passed
    assert validation.warnings == ()


@pytest.mark.parametrize(
    ("plant", "name", "why"),
    [
        (put("price", np.nan, slice(0, 300)), "column price: max_null_share", "price: 300 of 1,000 rows null (30.0%)"),
        (
            put("price", -1.0, [17, 40]),
            "column price: min",
            "2 of 1,000 rows below min 0; first: row 17 (-1), row 40",
        ),
        (put("price", 5000.0, [3]), "column price: max", "price: 1 of 1,000 rows above max 1000; first: row 3 (5000)"),
        (put("price", np.inf, [5]), "column price: finite", "1 of 1,000 rows infinite"),
        (put("visits", np.nan, slice(None)), "column visits: not empty", "visits: all 1,000 rows are null"),
        (
            put("customer", "c1", [0, 9]),
            "column customer: unique",
            "2 of 1,000 rows repeat an earlier value",
        ),
        (
            put("customer", "c1", [9]),
            "unique key",
            "1 of 1,000 rows repeat an earlier key; first: row 9 (c1)",
        ),
        (put("left", "no", slice(None)), "classes", "left: one class only (no 100.0%)"),
        (put("left", "no", slice(10, None)), "class balance", "left: class yes has"),
        (put("left", np.nan, slice(None)), "labels", "left: 0 of 1,000 rows have a label"),
        (put("price", 7.0, slice(0, 310)), "column price: point mass", "31.0% of rows are 7, 0.0% in the champion's"),
    ],
)
def test_a_planted_fault_fails_and_names_column_rule_count_and_rows(
    plant: Callable[[Frame], Frame], name: str, why: str
) -> None:
    spec = make_spec(unique_key=["customer"], min_class_share=0.05)

    failed = {c.name: c for c in judge(plant(make_frame()), spec, REFERENCE).checks if c.outcome is Outcome.FAIL}

    assert name in failed
    assert why in failed[name].why


def test_only_the_planted_fault_is_blamed() -> None:
    validation = judge(put("price", -1.0, [17])(make_frame()), reference=REFERENCE)

    assert [check.name for check in validation.broken] == ["column price: min"]


def test_repeated_rows_fail_where_a_limit_is_declared_and_warn_where_none_is() -> None:
    frame = make_frame()
    repeated = pd.concat([frame, frame.head(100)], ignore_index=True)

    declared, silent = judge(repeated, make_spec(max_duplicate_share=0.01)), judge(repeated)

    assert "duplicate rows" in [c.name for c in declared.broken]
    assert "100 of 1,100 rows repeat an earlier row" in next(
        c.why for c in silent.warnings if c.name == "duplicate rows"
    )
    assert "duplicate rows" not in [c.name for c in silent.checks]


def test_an_unseen_category_warns_or_fails_as_declared() -> None:
    frame = make_frame()
    frame = frame.assign(plan=frame["plan"].cat.add_categories(["gold"]))
    frame.loc[4, "plan"] = "gold"
    strict = make_spec(columns={"plan": {"type": "category", "allowed": ["basic", "plus", "pro"]}})

    warned, failed = judge(frame), judge(frame, strict)

    assert warned.passed
    assert "first: row 4 ('gold')" in warned.warnings[0].why
    assert [c.name for c in failed.broken] == ["column plan: allowed"]


def test_a_constant_feature_warns() -> None:
    validation = judge(put("visits", 3.0, slice(None))(make_frame()))

    assert validation.passed
    assert [w.name for w in validation.warnings] == ["column visits: varies"]


def test_a_constant_regression_target_fails() -> None:
    frame = make_frame().assign(left=1.0)

    assert [c.name for c in judge(frame, make_spec("regression")).broken] == ["label values"]


def test_unlabelled_rows_are_ignored_by_the_class_balance() -> None:
    frame = put("left", np.nan, slice(0, 900))(make_frame())

    assert judge(frame, make_spec(min_class_share=0.2)).passed


@pytest.mark.parametrize(("limit", "outcome"), [("17d", Outcome.PASS), ("16d", Outcome.FAIL)])
def test_a_stale_table_fails(limit: str, outcome: Outcome) -> None:
    checks = {c.name: c for c in judge(make_frame(), make_spec(freshness=limit)).checks}

    assert checks["freshness"].outcome is outcome
    assert "the newest row is of 2025-12-" in checks["freshness"].why


def test_freshness_without_times_is_unknown_and_does_not_pass() -> None:
    frame = make_frame().assign(at=pd.NaT)

    validation = judge(frame, make_spec(freshness="1d"))

    assert [(c.name, c.outcome) for c in validation.broken] == [("freshness", Outcome.UNKNOWN)]
    assert not validation.passed


@pytest.mark.parametrize(
    ("rules", "outcome"),
    [
        ({"at_least": ROWS}, Outcome.PASS),
        ({"at_least": ROWS + 1}, Outcome.FAIL),
        ({"at_most": ROWS}, Outcome.PASS),
        ({"at_most": ROWS - 1}, Outcome.FAIL),
    ],
)
def test_the_row_count_is_bounded_on_both_sides(rules: dict[str, int], outcome: Outcome) -> None:
    assert judge(make_frame(), make_spec(rows=rules)).checks[0].outcome is outcome


def test_an_empty_table_fails_by_its_rows_alone() -> None:
    assert [c.name for c in judge(make_frame().head(0)).broken] == ["rows"]


@pytest.mark.parametrize(
    ("column", "count", "outcome"),
    [
        ("price", 50, Outcome.PASS),  # max_null_share 0.05 is declared
        ("price", 51, Outcome.FAIL),
        ("visits", 10, Outcome.PASS),  # nothing is declared: 1 %
        ("visits", 11, Outcome.FAIL),
    ],
)
def test_unreadable_values_are_suffered_like_nulls_and_always_counted(
    column: str, count: int, outcome: Outcome
) -> None:
    frame = make_frame()
    snapshot = make_snapshot(frame, (Fault(column, "type", count, ("row 3: 'n/k'", "row 9: '12 EUR'")),))

    checks = {c.name: c for c in validate(frame, snapshot, make_spec(), None).checks}

    assert checks[f"column {column}: type"].outcome is outcome
    assert f"{count} of 1,000 rows cannot be read as" in checks[f"column {column}: type"].why
    assert "such as row 3: 'n/k', row 9: '12 EUR'" in checks[f"column {column}: type"].why


def test_without_a_champion_no_point_mass_is_judged() -> None:
    checks = {c.name: c for c in judge(put("price", -1.0, slice(None))(make_frame())).checks}

    assert checks["point mass"].passed
    assert checks["point mass"].why == "no champion yet"


def test_a_value_that_was_always_frequent_is_no_new_point_mass() -> None:
    frame = put("visits", 0.0, slice(0, 600))(make_frame())
    used_to_it = replace(REFERENCE, columns={**REFERENCE.columns, "visits": Column({0.0: 0.55})})

    assert "column visits: point mass" in [c.name for c in judge(frame, reference=REFERENCE).broken]
    assert judge(frame, reference=used_to_it).passed


def test_rows_that_lost_their_time_are_counted() -> None:
    frame = make_frame()
    snapshot = make_snapshot(frame, (Fault("at", "time", 40),))

    failed = [c for c in validate(frame, snapshot, make_spec(), None).checks if not c.passed]

    assert [c.name for c in failed] == ["column at: time"]
    assert "40 of 1,000 rows have no readable time and are left out" in failed[0].why


@pytest.mark.parametrize(("rows_read", "outcome"), [(1500, Outcome.FAIL), (4000, Outcome.PASS)])
def test_rows_without_a_time_are_a_share_of_all_rows_of_the_source(rows_read: int, outcome: Outcome) -> None:
    frame = make_frame()
    snapshot = replace(make_snapshot(frame, (Fault("at", "time", 40),)), rows_read=rows_read)

    checks = {c.name: c for c in validate(frame, snapshot, make_spec(), None).checks}

    assert checks["column at: time"].outcome is outcome
    assert f"40 of {rows_read:,} rows have no readable time" in checks["column at: time"].why


def test_the_drift_windows_start_says_which_rows_are_new() -> None:
    frame = put("price", 1.0, slice(900, None))(make_frame())
    spec = make_spec().model_copy(update={"drift": DriftRules.model_validate({"window": "42d"})})

    assert [c.name for c in judge(frame, spec, REFERENCE).broken] == ["column price: point mass"]


@pytest.mark.parametrize(("before", "outcome"), [(0.25, Outcome.FAIL), (0.35, Outcome.PASS)])
def test_a_common_value_that_becomes_more_common_is_drift_and_no_point_mass(before: float, outcome: Outcome) -> None:
    frame = put("visits", 0.0, slice(0, 600))(make_frame())
    reference = replace(REFERENCE, columns={**REFERENCE.columns, "visits": Column({0.0: before})})

    assert judge(frame, reference=reference).outcome is outcome


def test_the_champions_own_profile_finds_nothing_in_its_own_rows() -> None:
    frame, spec = make_frame(), make_spec()

    assert judge(frame, spec, build_profile(frame, spec.column_types)).passed
    burst = judge(put("price", -1.0, slice(0, 310))(frame), spec, build_profile(frame, spec.column_types))
    assert "price: 31.0% of rows are -1, 0.0% in the champion's training data" in [c.why for c in burst.broken]


def test_a_new_point_mass_among_the_newest_rows_is_seen_before_it_fills_the_table() -> None:
    frame = put("price", 1.0, slice(900, None))(make_frame())
    since = frame["at"].iloc[700].to_pydatetime().replace(tzinfo=UTC)

    assert judge(frame, reference=REFERENCE).passed
    failed = judge(frame, reference=REFERENCE, since=since).broken
    assert "33.4% of the newest rows are 1, 0.0% in" in failed[0].why


def test_the_newest_rows_may_all_be_of_one_known_month() -> None:
    frame = put("visits", 3.0, slice(800, None))(make_frame())
    since = frame["at"].iloc[800].to_pydatetime().replace(tzinfo=UTC)

    assert judge(frame, reference=REFERENCE, since=since).passed


def test_the_result_reads_as_a_table() -> None:
    assert "| column price: min | -1 | ≥ 0 | FAIL |" in to_markdown(
        judge(put("price", -1.0, [17])(make_frame())).checks
    )


def test_validation_changes_nothing_it_was_given() -> None:
    frame = make_frame()
    before = frame.copy(deep=True)

    judge(frame, reference=REFERENCE)

    pd.testing.assert_frame_equal(frame, before)


@settings(max_examples=20, deadline=None)
@given(st.sets(st.integers(0, 199), min_size=1), st.integers(0, 5))
def test_every_planted_violation_is_counted_in_the_message(planted: set[int], seed: int) -> None:
    frame = put("price", 1e6, sorted(planted))(make_frame(200, seed))

    failed = {c.name: c for c in judge(frame).checks if not c.passed}

    assert failed["column price: max"].why.startswith(f"price: {len(planted)} of 200 rows above max 1000")


def test_a_row_of_the_moment_itself_is_not_new() -> None:
    since = pd.Timestamp("2026-01-01").as_unit("us")
    times = pd.Series([since] * 300 + [since + pd.Timedelta(seconds=1)] * 250)

    mask = newest_rows(times, since.to_pydatetime().replace(tzinfo=UTC))

    assert mask is not None
    assert mask.sum() == 250
