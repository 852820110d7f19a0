import copy
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from evergreen.errors import SpecError
from evergreen.spec import ModelSpec, find_spec, load_spec

EXAMPLE = """\
model: churn
task: classification
owner: crm-team@example.com
data:
  source: {kind: csv, path: data/churn.csv}
  target: churn
  time_column: observed_at
  id_column: customer_id
  window: 365d
  label_delay: 30d
schema:
  rows: {at_least: 500}
  columns:
    quantity: {type: integer, min: 0, max_null_share: 0.05}
    plan: {type: category, allowed: [basic, plus, pro], unseen: warn}
features:
  derive:
    - {name: total_spend, kind: product, of: [quantity, price]}
    - {name: days_since_last, kind: days_since, of: last_purchase}
  numeric: [quantity, price, total_spend, days_since_last]
  categorical: [plan, region]
training:
  split: {kind: time, holdout: 30d}
  cross_validation: {folds: 5}
  metric: f1_weighted
  search: {kind: grid, runner: threads}
  candidates:
    - {kind: logistic_regression, grid: {C: [0.01, 1, 100], solver: [liblinear, lbfgs]}}
    - {kind: gradient_boosting, params: {n_estimators: 200}}
drift: {max_share: 0.5, columns: {price: {method: wasserstein, threshold: 0.1}}}
gates:
  absolute: {accuracy: {at_least: 0.90}, latency_p95_ms: {at_most: 50}}
  against_champion: {metric: f1_weighted, margin: 0.005}
  slices: {by: [region], margin: 0.01}
promotion: {mode: automatic}
schedule: {cron: "0 6 * * 1", timezone: Europe/Berlin}
notify: [{kind: webhook, url_env: ALERT_WEBHOOK_URL}]
"""
B_OF_PRICE = {"name": "b", "kind": "log", "of": "price"}
CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "churn.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def message(path: Path) -> str:
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    return str(caught.value)


def values() -> dict[str, Any]:
    return copy.deepcopy(yaml.safe_load(EXAMPLE))


def test_the_example_parses(write: Callable[[str], Path]) -> None:
    spec = load_spec(write(EXAMPLE))

    assert spec.data.label_delay == timedelta(days=30)
    assert spec.time_ordered
    assert spec.raw_inputs == ("quantity", "price", "last_purchase", "observed_at", "plan", "region")
    assert spec.column_types == {
        "quantity": "integer",
        "price": "number",
        "last_purchase": "datetime",
        "observed_at": "datetime",
        "plan": "category",
        "region": "category",
        "customer_id": "text",
        "churn": "category",
    }


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_spec_that_ships_loads(path: Path) -> None:
    assert load_spec(path).features.columns


def test_a_spec_survives_being_written_out_again(write: Callable[[str], Path]) -> None:
    spec = load_spec(write(EXAMPLE))

    again = load_spec(write(yaml.safe_dump(spec.model_dump(mode="json", by_alias=True))))

    assert again == spec
    assert again.digest == spec.digest


@pytest.mark.parametrize(
    ("right", "wrong", "line", "expected"),
    [
        ("target: churn", "targets: churn", 6, "data.targets: unknown key; did you mean target? choose one of"),
        ("target: churn", "targets: churn", 4, "data.target: is missing"),
        ("task: classification", "task: clasification", 2, "task: unknown 'clasification'; did you mean classif"),
        ("kind: csv", "kind: cvs", 5, "data.source.kind: unknown 'cvs'; did you mean csv? choose one of csv, parquet"),
        ("kind: csv, ", "", 5, "data.source.kind: is missing"),
        ("kind: csv", "kind: parquet, seperator: x", 5, "data.source.seperator: unknown key; choose one of "),
        ("kind: grid", "kind: gird", 26, "training.search.kind: unknown 'gird'; did you mean grid?"),
        ("kind: gradient_boosting", "kind: xgb", 29, "training.candidates.1.kind: unknown 'xgb'; choose one of"),
        ("kind: product", "kind: produkt", 18, "features.derive.0.kind: unknown 'produkt'; did you mean product?"),
        ("holdout: 30d", "holdout: 30 days", 23, "training.split.holdout: '30 days' is no duration; write a number"),
        ("window: 365d", "window: soon", 9, "data.window: 'soon' is no duration"),
        ("max_null_share: 0.05", "max_null_share: 5", 14, "schema.columns.quantity.max_null_share: "),
        ("type: integer", "type: int", 14, "schema.columns.quantity.type: unknown 'int'; did you mean integer?"),
        ("method: wasserstein", "method: emd", 30, "drift.columns.price.method: unknown 'emd'; choose one of ks"),
        ("{at_least: 0.90}", "{}", 32, "gates.absolute.accuracy: give at_least, at_most or both"),
        ("folds: 5", "folds: 1", 24, "training.cross_validation.folds: "),
        ("mode: automatic", "mode: auto", 35, "promotion.mode: unknown 'auto'; did you mean automatic?"),
        ("model: churn", "model: 9 lives", 1, "model: "),
        ("holdout: 30d", "holdout: 0d", 23, "training.split.holdout: holds nothing out; give a length above 0"),
        ("[basic, plus, pro]", "[yes, no]", 15, "schema.columns.plan.allowed.0: is a truth value, as YAML reads yes"),
        ("at_least: 0.90", "at_least: .nan", 32, "gates.absolute.accuracy.at_least: Input should be a finite number"),
        ("min: 0,", "min: .nan,", 14, "schema.columns.quantity.min: Input should be a finite number"),
        ("threshold: 0.1", "threshold: .inf", 30, "drift.columns.price.threshold: Input should be a finite number"),
        (
            "Europe/Berlin",
            "Europe/Berln",
            36,
            "schedule.timezone: 'Europe/Berln' is no time zone; did you mean Europe/",
        ),
        ("Europe/Berlin", "Europe", 36, "schedule.timezone: 'Europe' is no time zone"),
        ('"0 6 * * 1"', '"0 6 * * 8"', 36, "schedule.cron: '0 6 * * 8': '8' is no day of the week (0 to 7"),
        ('"0 6 * * 1"', "weekly", 36, "schedule.cron: 'weekly' has 1 fields; cron has five: minute, hour, day of the"),
    ],
)
def test_a_mistake_is_named_with_file_line_key_and_choices(
    write: Callable[[str], Path], right: str, wrong: str, line: int, expected: str
) -> None:
    path = write(EXAMPLE.replace(right, wrong))

    assert f"{path}:{line}: {expected}" in message(path)


@pytest.mark.parametrize(
    "cron", ["0 6 * * 1", "*/15 * * * *", "0,30 6-18/2 1 JAN,jul mon-fri", "59 23 31 12 7", "0 0 * * SUN"]
)
def test_a_cron_expression_of_five_fields_is_taken_as_it_is(write: Callable[[str], Path], cron: str) -> None:
    assert load_spec(write(EXAMPLE.replace("0 6 * * 1", cron))).schedule.cron == cron


@pytest.mark.parametrize("cron", ["60 * * * *", "* 24 * * *", "* * 0 * *", "* * * foo *", "5-1 * * * *", "*/0 * * * *"])
def test_a_cron_expression_that_never_comes_is_refused(write: Callable[[str], Path], cron: str) -> None:
    assert "schedule.cron: " in message(write(EXAMPLE.replace("0 6 * * 1", cron)))


def test_whole_numbers_may_stand_among_the_allowed_as_they_are(write: Callable[[str], Path]) -> None:
    spec = load_spec(write(EXAMPLE.replace("[basic, plus, pro]", "[1, 2, pro]")))

    assert spec.table.columns["plan"].allowed == ("1", "2", "pro")


def test_every_mistake_is_told_at_once(write: Callable[[str], Path]) -> None:
    path = write(EXAMPLE.replace("folds: 5", "folds: 1").replace("kind: cvs", "").replace("type: integer", "type: int"))

    assert len(message(path).splitlines()) == 2


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"data": {"time_column": None}}, "window and label_delay need a time_column"),
        ({"data": {"time_column": None, "window": None, "label_delay": "0d"}}, "training.split: kind time needs"),
        ({"features": {"numeric": ["quantity", "churn"]}}, "the target 'churn' is among the features"),
        ({"features": {"numeric": [], "categorical": []}}, "name at least one column"),
        ({"features": {"categorical": ["plan", "quantity"]}}, "'quantity' is both numeric and categorical"),
        (
            {"features": {"derive": [{"name": "a", "kind": "ratio", "of": ["x", "y", "z"]}]}},
            "exactly two columns",
        ),
        (
            {"drift": {"columns": {"prize": {"method": "ks", "threshold": 0.1}}}},
            "drift.columns: 'prize' is not compared; choose one of quantity, price, plan, region, days_since_last, ",
        ),
        ({"drift": {"columns": {"total_spend": {"method": "ks", "threshold": 0.1}}}}, "'total_spend' is not compared"),
        ({"drift": {"columns": {"last_purchase": {"method": "ks", "threshold": 0.1}}}}, "'last_purchase' is not comp"),
        (
            {"features": {"derive": [{"name": "a", "kind": "log", "of": "b"}, B_OF_PRICE], "numeric": ["a"]}},
            "features.derive: 'b' is read before it is declared; move it up",
        ),
        ({"data": {"target": "observed_at"}}, "data: 'observed_at' is both target and time_column"),
        ({"data": {"id_column": "prediction"}}, "no column may be called 'prediction'"),
        ({"features": {"derive": [{**B_OF_PRICE, "name": "prediction"}], "numeric": ["price"]}}, "'prediction': drift"),
        ({"schema": {"columns": {"observed_at": {"type": "text"}}}}, "schema.columns.observed_at: is data.time_column"),
        (
            {"schema": {"columns": {"churn": {"type": "integer", "min": 0, "max": 1}}}},
            "schema.columns.churn: min and max are for numbers, and a classification has classes",
        ),
        ({"schema": {"columns": {"churn": {"type": "datetime"}}}}, "schema.columns.churn: is the target of a class"),
        ({"schema": {"columns": {"plan": {"type": "category", "min": 0}}}}, "min and max are for integer and number"),
        ({"schema": {"columns": {"quantity": {"type": "integer", "allowed": ["1"]}}}}, "allowed is for category"),
        ({"schema": {"columns": {"quantity": {"type": "integer", "min": 5, "max": 1}}}}, "min 5 is above max 1"),
        (
            {"data": {"source": {"kind": "sql", "query": "q", "url": "postgresql://me:secret@db/x"}}},
            "url: holds a secret (a password); put the URL into an environment variable",
        ),
        ({"data": {"source": {"kind": "sql", "query": "q"}}}, "give either url or url_env"),
        ({"data": {"source": {"kind": "duckdb"}}}, "give either query or query_file"),
    ],
)
def test_contradictions_are_refused(
    write: Callable[[str], Path], change: dict[str, dict[str, Any]], expected: str
) -> None:
    spec = values()
    for part, keys in change.items():
        spec[part] = {**spec[part], **keys}

    assert expected in message(write(yaml.safe_dump(spec)))


@pytest.mark.parametrize("kind", ["category", "text", "boolean", "datetime"])
def test_the_target_of_a_regression_is_a_number(write: Callable[[str], Path], kind: str) -> None:
    spec = values() | {"task": "regression", "schema": {"columns": {"churn": {"type": kind}}}}

    assert f"so its type is number or integer, not {kind}" in message(write(yaml.safe_dump(spec)))


@pytest.mark.parametrize("kind", ["integer", "number", "boolean", "text", "category"])
def test_the_target_of_a_classification_has_classes_whatever_they_look_like(
    write: Callable[[str], Path], kind: str
) -> None:
    spec = values() | {"schema": {"columns": {"churn": {"type": kind, "max_null_share": 0.5}}}}

    assert load_spec(write(yaml.safe_dump(spec))).column_types["churn"] == "category"


def test_a_password_in_a_url_is_not_repeated_in_the_message(write: Callable[[str], Path]) -> None:
    spec = values()
    spec["data"]["source"] = {"kind": "sql", "query": "q", "url": "postgresql://me:hunter2@db/x"}

    assert "hunter2" not in message(write(yaml.safe_dump(spec)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty or no mapping; a spec starts with `model:`"),
        ("- a\n- b\n", "is empty or no mapping"),
        ("model: churn\nmodel: other\n", ":2: model stands twice, first in line 1"),
        ("data:\n  target: a\n  target: b\n", ":3: data.target stands twice, first in line 2"),
        ("model: [churn\n", "is not valid YAML"),
        ("model: churn\n\ttask: x\n", ":2: is not valid YAML"),
        ("task: x\nmodel: {{ name }}\n", ":2: a key must be a name; quote what starts with { or ["),
        ("? [a, b]\n: 1\n", ":1: a key must be a name"),
        ("model: &a [*a]\n", ":1: is nested too deep; does an alias name itself?"),
    ],
)
def test_a_file_that_is_no_spec_is_refused(write: Callable[[str], Path], text: str, expected: str) -> None:
    assert expected in message(write(text))


def test_a_missing_file_and_a_binary_one_are_user_errors(tmp_path: Path) -> None:
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")

    assert "cannot be read" in message(tmp_path / "none.yaml")
    assert "is not UTF-8 text" in message(binary)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("churm", "did you mean churn?"), ("sales", "there are: churn"), ("churn", None)],
)
def test_an_unknown_model_suggests_the_ones_there_are(
    write: Callable[[str], Path], text: str, expected: str | None
) -> None:
    path = write(EXAMPLE)
    if expected is None:
        assert find_spec(path.parent, text) == path
        return
    with pytest.raises(SpecError, match=r"no spec for model") as caught:
        find_spec(path.parent, text)
    assert expected in str(caught.value)


def test_a_spec_is_frozen(write: Callable[[str], Path]) -> None:
    spec: ModelSpec = load_spec(write(EXAMPLE))

    with pytest.raises(ValueError, match="frozen"):
        spec.task = "regression"  # type: ignore[misc]


def test_a_spec_is_found_by_its_model_too_where_only_one_names_it(tmp_path):
    text = EXAMPLE.replace("model: churn", "model: leavers")
    (tmp_path / "churn.yaml").write_text(text)
    (tmp_path / "broken.yaml").write_text("model: [")
    assert find_spec(tmp_path, "leavers") == find_spec(tmp_path, "churn") == tmp_path / "churn.yaml"
    (tmp_path / "second.yaml").write_text(text)
    with pytest.raises(SpecError, match="no spec for model 'leavers'"):
        find_spec(tmp_path, "leavers")
