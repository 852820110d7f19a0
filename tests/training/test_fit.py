"""The final model: the same again from the same, whole or not there, loaded only if it is the one that was saved."""

from pathlib import Path

import joblib
import numpy as np
import pytest

from evergreen.data.frame import read_snapshot
from evergreen.errors import IntegrityError, UnavailableError
from evergreen.training import fit as fit_module
from evergreen.training.estimators import KINDS
from evergreen.training.fit import fit, load_model
from evergreen.training.handles import Recipe
from evergreen.training.split import read_positions

LINEAR = Recipe(0, "logistic_regression", {}, "scaled")
TREES = Recipe(0, "hist_gradient_boosting", {"max_iter": 5}, "native")


@pytest.fixture
def table(customers, spec_of, table_of):
    """Customers, split."""
    return table_of(customers(), spec_of())


@pytest.mark.parametrize("recipe", [LINEAR, TREES, Recipe(0, "k_neighbors", {}, "scaled")])
def test_a_saved_model_predicts_class_names_from_raw_rows(table, recipe, tmp_path):
    model = fit(recipe, table, 0, tmp_path)
    _, held = read_positions(table.split)
    frame = read_snapshot(table.path, rows=held)
    pipeline = load_model(model.path, model.digest)
    assert model.classes == ("high", "low", "mid")
    assert pipeline.classes_.tolist() == ["high", "low", "mid"]
    assert (pipeline.predict(frame) == frame["level"].astype(str)).mean() > 0.6
    assert model.train_rows == table.split.train_rows


def test_a_regression_predicts_numbers(customers, spec_of, table_of, tmp_path):
    table = table_of(customers(), spec_of("regression"))
    model = fit(Recipe(0, "ridge", {}, "scaled"), table, 0, tmp_path)
    predictions = load_model(model.path, model.digest).predict(customers(10, seed=3).drop(columns="spend"))
    assert model.classes == ()
    assert predictions.dtype == np.float64
    assert np.abs(predictions - customers(10, seed=3)["spend"]).mean() < 10


@pytest.mark.parametrize("kind", sorted(kind for kind in KINDS if "classification" in KINDS[kind].classes))
def test_the_same_inputs_give_the_same_predictions(table, kind, customers, tmp_path):
    params = {"n_estimators": 5} if kind in ("random_forest", "extra_trees", "gradient_boosting") else {}
    recipe = Recipe(0, kind, params, KINDS[kind].encoding)
    models = [fit(recipe, table, 3, tmp_path / name) for name in ("one", "two")]
    first, second = (load_model(m.path, m.digest).predict_proba(customers(50, seed=9)) for m in models)
    assert (first == second).all()


def test_a_fitted_model_is_taken_again_unless_its_file_changed(table, tmp_path):
    first, again = fit(LINEAR, table, 0, tmp_path), fit(LINEAR, table, 0, tmp_path)
    assert (first.reused, again.reused) == (False, True)
    assert again.digest == first.digest
    Path(first.path).write_bytes(b"something else")
    assert not fit(LINEAR, table, 0, tmp_path).reused
    assert not fit(LINEAR, table, 1, tmp_path).reused


def test_an_interrupted_fit_leaves_nothing_behind(table, tmp_path, monkeypatch):
    def interrupted(pipeline, file):
        file.write(b"half a model")
        raise KeyboardInterrupt

    monkeypatch.setattr(joblib, "dump", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(LINEAR, table, 0, tmp_path / "models")
    assert list((tmp_path / "models").iterdir()) == []
    monkeypatch.undo()
    assert not fit(LINEAR, table, 0, tmp_path / "models").reused


def test_a_model_without_its_description_is_fitted_again(table, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(fit_module, "write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        fit(LINEAR, table, 0, tmp_path)
    monkeypatch.undo()
    assert not fit(LINEAR, table, 0, tmp_path).reused
    assert fit(LINEAR, table, 0, tmp_path).reused


def test_a_tampered_model_is_not_loaded(table, tmp_path, monkeypatch):
    model = fit(LINEAR, table, 0, tmp_path)
    Path(model.path).write_bytes(Path(model.path).read_bytes() + b".")
    monkeypatch.setattr(joblib, "load", lambda *_: pytest.fail("unverified bytes were loaded"))
    with pytest.raises(IntegrityError, match="is not the model that was saved"):
        load_model(model.path, model.digest)


def test_a_model_that_cannot_be_read_is_not_read_as_another(tmp_path):
    with pytest.raises(UnavailableError, match="cannot be read"):
        load_model(tmp_path / "nothing.joblib", "0" * 64)
