from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from evergreen.spec import ModelSpec, json_schema
from evergreen.spec.base import format_duration, parse_duration


def make_spec(**changes: Any) -> ModelSpec:
    values: dict[str, Any] = {
        "model": "churn",
        "task": "classification",
        "data": {"source": {"kind": "csv", "path": "churn.csv"}, "target": "churn", "time_column": "at"},
        "features": {"numeric": ["price"], "categorical": ["plan"]},
        "training": {
            "split": {"kind": "time", "holdout": "30d"},
            "metric": "accuracy",
            "candidates": [{"kind": "logistic_regression"}],
        },
    }
    return ModelSpec.model_validate(values | changes)


@pytest.mark.parametrize(
    "change",
    [
        {"owner": "someone.else@example.com"},
        {"description": "Who leaves?"},
        {"schedule": {"cron": "0 0 * * *", "timezone": "Europe/Berlin"}},
        {"notify": [{"kind": "slack", "url_env": "SLACK_URL"}]},
        {"promotion": {"moved_by_hand": "restore"}},
        {"serving": {"explore": {"share": 0.02}}},
    ],
)
def test_what_changes_neither_model_nor_verdict_keeps_the_digest(change: dict[str, Any]) -> None:
    assert make_spec(**change).digest == make_spec().digest


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"data": {"source": {"kind": "csv", "path": "other.csv"}, "target": "churn", "time_column": "at"}},
        {"data": {"source": {"kind": "csv", "path": "churn.csv"}, "target": "left", "time_column": "at"}},
        {"schema": {"columns": {"price": {"type": "number", "min": 0}}}},
        {"schema": {"point_mass": 0.3}},
        {"features": {"numeric": ["price"]}},
        {"drift": {"max_share": 0.4}},
        {"gates": {"absolute": {"accuracy": {"at_least": 0.9}}}},
        {"promotion": {"mode": "approval"}},
    ],
)
def test_what_changes_a_model_or_a_verdict_changes_the_digest(change: dict[str, Any]) -> None:
    assert make_spec(**change).digest != make_spec().digest


def test_no_answer_is_explored_unless_the_spec_says_so() -> None:
    assert make_spec().serving.explore.share == 0


def test_the_digest_does_not_depend_on_how_a_duration_is_written() -> None:
    assert make_spec(drift={"window": "1w"}).digest == make_spec(drift={"window": "7d"}).digest


def test_a_declared_type_wins_over_an_implied_one() -> None:
    spec = make_spec(schema={"columns": {"price": {"type": "integer"}}})

    assert spec.column_types["price"] == "integer"


@pytest.mark.parametrize(("task", "kind"), [("classification", "category"), ("regression", "number")])
def test_the_target_has_the_type_of_its_task(task: str, kind: str) -> None:
    assert make_spec(task=task).column_types["churn"] == kind


def test_a_derived_column_may_build_on_another_and_is_traced_to_its_sources() -> None:
    features = {
        "derive": [
            {"name": "total", "kind": "product", "of": ["price", "quantity"]},
            {"name": "log_total", "kind": "log", "of": "total"},
        ],
        "numeric": ["log_total"],
    }

    assert make_spec(features=features).raw_inputs == ("price", "quantity")


@pytest.mark.parametrize(
    ("derive", "compared"),
    [
        ([{"name": "x", "kind": "days_since", "of": "seen"}], ("price", "x")),
        ([{"name": "x", "kind": "weekday", "of": "seen"}], ("price",)),
        ([{"name": "x", "kind": "product", "of": ["price", "units"]}], ("price", "units")),
        ([{"name": "d", "kind": "days_since", "of": "seen"}, {"name": "x", "kind": "log", "of": "d"}], ("price", "x")),
        ([{"name": "h", "kind": "hour", "of": "seen"}, {"name": "x", "kind": "bins", "of": "h"}], ("price",)),
        ([{"name": "x", "kind": "custom", "transformer": "a:B", "of": ["seen", "price"]}], ("price", "x")),
    ],
)
def test_what_is_made_of_a_datetime_is_compared_unless_it_is_a_part_of_the_calendar(
    derive: list[dict[str, Any]], compared: tuple[str, ...]
) -> None:
    spec = make_spec(
        features={"derive": derive, "numeric": ["price", "x"]}, schema={"columns": {"seen": {"type": "datetime"}}}
    )

    assert (*spec.compared_sources, *spec.compared_derived) == compared


def test_a_derived_column_may_replace_its_source() -> None:
    features = {"derive": [{"name": "price", "kind": "log", "of": "price"}], "numeric": ["price"]}

    assert make_spec(features=features).raw_inputs == ("price",)


def test_columns_of_checks_keys_and_slices_are_read_although_they_are_no_features() -> None:
    spec = make_spec(
        data={
            "source": {"kind": "csv", "path": "x"},
            "target": "churn",
            "time_column": "at",
            "id_column": "id",
            "group_column": "household",
        },
        schema={"unique_key": ["id", "at"], "columns": {"note": {"type": "text"}}},
        gates={"slices": {"by": ["region"]}},
    )

    assert spec.column_types == {
        "price": "number",
        "plan": "category",
        "id": "text",
        "at": "datetime",
        "household": "text",
        "region": "category",
        "churn": "category",
        "note": "text",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30d", timedelta(days=30)),
        ("12h", timedelta(hours=12)),
        ("1.5h", timedelta(minutes=90)),
        ("4w", timedelta(weeks=4)),
        (" 10 m ", timedelta(minutes=10)),
        ("90s", timedelta(seconds=90)),
    ],
)
def test_durations_are_read_with_their_unit(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["30", "d", "-3d", "30 days", "P30D", 30, "9999999999d"])
def test_anything_else_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match=r"is no duration|is longer than"):
        parse_duration(text)


@given(st.timedeltas(timedelta(0), timedelta(days=3660)))
def test_every_duration_is_read_back_as_it_was_written(value: timedelta) -> None:
    assert parse_duration(format_duration(value)) == value


def test_the_json_schema_is_closed_and_all_its_references_resolve() -> None:
    schema = json_schema()

    definitions = schema["$defs"]
    assert schema["additionalProperties"] is False
    assert {"model", "task", "data", "schema", "features", "training"} <= set(schema["properties"])
    assert all(name.removeprefix("#/$defs/") in definitions for name in references(schema))


def test_the_json_schema_is_one_and_accepts_what_the_model_accepts() -> None:
    Draft202012Validator.check_schema(json_schema())

    written = make_spec(drift={"window": "7d"}).model_dump(mode="json", by_alias=True, exclude_none=True)
    assert list(Draft202012Validator(json_schema()).iter_errors(written)) == []


def test_the_json_schema_explains_durations_as_text() -> None:
    holdout = json_schema()["$defs"]["TimeSplit"]["properties"]["holdout"]

    assert holdout["type"] == "string"


def test_python_callers_may_name_the_schema_table() -> None:
    with pytest.raises(ValidationError):
        make_spec(tables={})
    assert make_spec(table={"rows": {"at_least": 7}}).table.rows.at_least == 7


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [name for value in node.values() for name in references(value)]
    return [name for value in node for name in references(value)] if isinstance(node, list) else []
