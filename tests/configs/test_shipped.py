"""The specs of configs/, read and not run: names, schema, and what the issue of each promises to be in it."""

import json
from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest
import yaml

from evergreen.gate.names import require_known_metrics
from evergreen.spec import json_schema, load_spec
from evergreen.training.recipes import plan, validate_recipes

CONFIGS = Path(__file__).parents[2] / "configs"
FILES = sorted(CONFIGS.glob("*.yaml"))


def test_the_examples_are_all_there():
    assert {"flights", "one_customer", "penguins", "random_forest", "churn", "houses"} <= {path.stem for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_spec_is_one_and_names_what_there_is(path):
    spec = load_spec(path)
    require_known_metrics(spec, str(path))
    validate_recipes(spec.training, spec.task)
    assert spec.gates.absolute or spec.gates.against_champion, "a spec without a gate never promotes"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_spec_is_what_the_schema_for_editors_says(path):
    schema = json.loads(json.dumps(json_schema()))
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    jsonschema.validate(values, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**values, "surprise": 1}, schema)


def test_every_model_has_a_name_of_its_own():
    names = [load_spec(path).model.lower() for path in FILES]
    assert len(set(names)) == len(names)


def test_every_spec_starts_with_a_line_that_says_what_it_is():
    assert [path.name for path in FILES if not path.read_text(encoding="utf-8").startswith("# ")] == []


def test_churn_is_judged_by_four_bounds_every_monday_morning():
    spec = load_spec(CONFIGS / "churn.yaml")
    gates = spec.gates.absolute
    assert gates["accuracy"].at_least == 0.90
    assert gates["f1_weighted"].at_least == 0.85
    assert gates["latency_p95_ms"].at_most == 50
    assert gates["size_mb"].at_most == 500
    assert spec.schedule.cron == "0 6 * * 1"
    assert {item.name for item in spec.features.derive} == {"total_spend", "days_since_last"}
    assert spec.data.label_delay > timedelta(0)
    boosted = [candidate for candidate in spec.training.candidates if candidate.kind == "gradient_boosting"]
    assert [candidate.params["n_estimators"] for candidate in boosted] == [200]
    assert {"quantity", "price", "last_purchase", "plan", "region", "churn", "observed_at"} <= spec.column_types.keys()


def test_one_customer_searches_a_grid_of_fifteen_by_accuracy():
    spec = load_spec(CONFIGS / "one_customer.yaml")
    assert spec.model == "One_Customer_Classifier"
    assert spec.training.metric == "accuracy"
    assert len(plan(spec.training, spec.task).recipes) == 15
    assert len(spec.features.numeric) == 20
    assert spec.training.split.holdout == 0.2
    assert spec.data.source.rows == 1000


def test_penguins_are_preprocessed_as_they_must_be():
    spec = load_spec(CONFIGS / "penguins.yaml")
    assert (spec.features.numeric_preprocessing.impute, spec.features.numeric_preprocessing.scale) == (
        "mean",
        "standard",
    )
    categories = spec.features.categorical_preprocessing
    assert (categories.impute, categories.encode) == ("most_frequent", "one_hot")
    assert "." in spec.data.source.null_values
    assert spec.gates.absolute["accuracy"].at_least > 0.5


def test_houses_are_a_regression():
    spec = load_spec(CONFIGS / "houses.yaml")
    assert spec.task == "regression"
    assert spec.data.time_column is not None
