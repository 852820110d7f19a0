"""The training key changes with what changes a model, and with nothing else."""

import pytest

import evergreen
from evergreen.spec import ModelSpec
from evergreen.training.key import code_digest, custom_modules, environment_digest, training_digest, training_key

BASE = {
    "model": "customers",
    "task": "classification",
    "data": {"source": {"kind": "csv", "path": "a.csv"}, "target": "level", "time_column": "at"},
    "schema": {"columns": {"price": {"type": "number", "max_null_share": 0.1}}},
    "features": {"numeric": ["price"], "categorical": ["plan"]},
    "training": {
        "split": {"kind": "random"},
        "metric": "accuracy",
        "candidates": [{"kind": "logistic_regression"}],
    },
}


def changed(path, value):
    values = ModelSpec.model_validate(BASE).model_dump(mode="json", by_alias=True)
    *parents, last = path.split(".")
    part = values
    for name in parents:
        part = part[name]
    part[last] = value
    return ModelSpec.model_validate(values)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("data.target", "other"),
        ("data.source", {"kind": "csv", "path": "a.csv", "decimal": ","}),
        ("data.group_column", "shop"),
        ("data.id_column", "id"),
        ("schema.columns", {"price": {"type": "integer"}}),
        ("features.numeric", ["price", "units"]),
        ("features.categorical_preprocessing", {"impute": "most_frequent"}),
        ("training.split", {"kind": "random", "seed": 1}),
        ("training.seed", 1),
        ("training.metric", "log_loss"),
        ("training.cross_validation", {"folds": 4}),
        ("training.search", {"kind": "random"}),
        ("training.candidates", [{"kind": "logistic_regression", "params": {"C": 2}}]),
    ],
)
def test_what_changes_a_model_changes_its_key(path, value):
    assert training_digest(changed(path, value)) != training_digest(ModelSpec.model_validate(BASE))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("owner", "someone"),
        ("data.source", {"kind": "csv", "path": "b.csv"}),
        ("data.window", "30d"),
        ("schema.columns", {"price": {"type": "number", "max_null_share": 0.5, "min": 0}}),
        ("schema.rows", {"at_least": 10}),
        ("training.search", {"runner": "processes", "workers": 3}),
        ("drift", {"max_share": 0.1}),
        ("gates", {"absolute": {"accuracy": {"at_least": 0.9}}}),
        ("promotion", {"mode": "approval"}),
        ("schedule", {"cron": "0 1 * * *"}),
    ],
)
def test_rules_sources_and_runners_train_nothing_anew(path, value):
    assert training_digest(changed(path, value)) == training_digest(ModelSpec.model_validate(BASE))


@pytest.mark.parametrize(("gap", "counts"), [(None, True), ("0d", False), ("3d", False)])
def test_a_label_delay_trains_another_model_where_it_is_the_gap_of_the_split(gap, counts):
    split = {"kind": "time", "holdout": "9d", "gap": gap}
    data = BASE["data"] | {"label_delay": "5d"}
    now, later = (
        ModelSpec.model_validate(BASE | {"data": d, "training": BASE["training"] | {"split": split}})
        for d in (BASE["data"], data)
    )
    assert (training_digest(now) != training_digest(later)) is counts


def test_data_code_and_environment_are_part_of_the_key():
    spec = ModelSpec.model_validate(BASE)
    keys = {
        training_key(*parts)
        for parts in (
            ("s", spec, "c", "e"),
            ("other", spec, "c", "e"),
            ("s", changed("training.seed", 1), "c", "e"),
            ("s", spec, "other", "e"),
            ("s", spec, "c", "other"),
        )
    }
    assert len(keys) == 5


def test_code_of_a_teams_own_is_part_of_the_code(tmp_path, monkeypatch):
    module = tmp_path / "own_features_for_test.py"
    module.write_text("class Rounder: pass")
    monkeypatch.syspath_prepend(str(tmp_path))
    derived = [{"name": "x", "kind": "custom", "transformer": "own_features_for_test:Rounder", "of": ["price"]}]
    spec = changed("features", {"derive": derived, "numeric": ["x"]})
    assert custom_modules(spec) == ("own_features_for_test",)
    before = code_digest(spec)
    assert before != code_digest() == code_digest(ModelSpec.model_validate(BASE))
    module.write_text("class Rounder: digits = 2")
    assert code_digest(spec) != before


@pytest.mark.parametrize(
    ("room", "counts"),
    [("serving", False), ("cli", False), ("operations", False), ("training", True), ("features", True), ("data", True)],
)
def test_another_line_in_a_room_that_trains_nothing_trains_no_other_model(tmp_path, monkeypatch, room, counts):
    module = tmp_path / "evergreen" / room / "module.py"
    module.parent.mkdir(parents=True)
    module.write_text("ONE = 1")
    monkeypatch.setattr(evergreen, "__file__", str(tmp_path / "evergreen" / "__init__.py"))
    before = code_digest()
    module.write_text("ONE = 2")
    assert (code_digest() != before) is counts


def test_a_module_that_is_not_there_has_no_code():
    spec = changed("training.candidates", [{"kind": "custom", "estimator": "not_there.at_all:It"}])
    assert code_digest(spec) == code_digest()


def test_the_environment_is_the_same_twice():
    assert environment_digest() == environment_digest()
