import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.spec.columns import TableRules
from evergreen.validation.rules import ColumnRule, compile_rules

LEVELS = ("basic", "plus", "pro")


def category(values: list[str | None], levels: tuple[str, ...] = (*LEVELS, "gold")) -> pd.Series:
    return pd.Series(pd.Categorical(values, categories=list(levels)), name="plan")


@pytest.mark.parametrize(
    ("rule", "values", "positions"),
    [
        (ColumnRule("x", "min", 0), [0.0, -1.0, np.nan, 5.0, -0.5], [1, 4]),
        (ColumnRule("x", "max", 4), [4.0, 4.1, np.nan, np.inf], [1, 3]),
        (ColumnRule("x", "unique", True), [1.0, 2.0, 1.0, np.nan, np.nan, 1.0], [2, 5]),
        (ColumnRule("x", "max_null_share", 0.1), [np.nan, 1.0, np.nan], [0, 2]),
        (ColumnRule("x", "min", 0), [np.nan, np.nan], []),
    ],
)
def test_a_rule_marks_the_rows_that_break_it(rule: ColumnRule, values: list[float], positions: list[int]) -> None:
    assert np.flatnonzero(rule.broken(pd.Series(values))).tolist() == positions


def test_a_category_outside_the_allowed_is_marked_and_a_null_is_not() -> None:
    rule = ColumnRule("plan", "allowed", LEVELS)

    assert rule.broken(category(["basic", "gold", None, "pro"])).tolist() == [False, True, False, False]


def test_a_level_that_no_row_has_breaks_nothing() -> None:
    assert not ColumnRule("plan", "allowed", LEVELS).broken(category(["basic", "pro"])).any()


def test_positions_are_rows_of_the_table_whatever_its_index_is() -> None:
    values = pd.Series([1.0, -1.0, 2.0, -2.0], index=[7, 7, 3, 0])

    assert ColumnRule("x", "min", 0).breach(values).first == ((1, -1.0), (3, -2.0))


def test_only_the_first_rows_are_shown_and_all_are_counted() -> None:
    found = ColumnRule("x", "min", 0).breach(pd.Series([-1.0] * 50))

    assert (found.count, found.rows, len(found.first)) == (50, 50, 3)


def test_every_declared_fact_becomes_a_rule_and_unseen_decides_how_strict() -> None:
    table = TableRules.model_validate(
        {
            "columns": {
                "price": {"type": "number", "min": 0, "max": 9, "max_null_share": 0.1, "unique": True},
                "plan": {"type": "category", "allowed": LEVELS, "unseen": "warn"},
                "note": {"type": "text"},
            }
        }
    )

    rules = compile_rules(table)

    assert [(r.column, r.kind, r.strict) for r in rules] == [
        ("price", "max_null_share", True),
        ("price", "min", True),
        ("price", "max", True),
        ("price", "unique", True),
        ("plan", "allowed", False),
    ]


@pytest.mark.parametrize(("value", "broken"), [(-1.0, True), (0.0, False), (np.nan, False)])
def test_a_rule_by_row_judges_a_single_request(value: float, broken: bool) -> None:
    rule = ColumnRule("x", "min", 0)

    assert rule.by_row
    assert rule.broken(pd.Series([value])).tolist() == [broken]


sound = st.lists(st.none() | st.floats(0, 100), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(sound, st.data())
def test_sound_values_never_break_a_rule_and_planted_ones_are_counted_exactly(
    values: list[float | None], data: st.DataObject
) -> None:
    column = pd.Series(values, dtype="float64", name="x")
    rules = [ColumnRule("x", "min", 0), ColumnRule("x", "max", 100)]
    assert [rule.breach(column).count for rule in rules] == [0, 0]

    planted = data.draw(st.sets(st.integers(0, len(values) - 1)))
    column.iloc[sorted(planted)] = -1.0

    assert [rule.breach(column).count for rule in rules] == [len(planted), 0]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.none() | st.sampled_from(LEVELS), min_size=1, max_size=60), st.data())
def test_planted_categories_are_counted_exactly(values: list[str | None], data: st.DataObject) -> None:
    rule = ColumnRule("plan", "allowed", LEVELS)
    assert rule.breach(category(values)).count == 0

    planted = data.draw(st.sets(st.integers(0, len(values) - 1)))

    assert rule.breach(category([("gold" if i in planted else v) for i, v in enumerate(values)])).count == len(planted)
