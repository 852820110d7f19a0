"""Going on from the champion: what is new is learned, what it knew is kept, and nothing it learned from judges it."""

from dataclasses import replace
from datetime import UTC, timedelta

import joblib
import numpy as np
import pandas as pd
import pytest

from evergreen.errors import DataError, IntegrityError
from evergreen.files import file_digest
from evergreen.training.continued import Positions, why_not
from evergreen.training.encode import encode_folds, plan_folds, read_fold
from evergreen.training.estimators import KINDS
from evergreen.training.fit import fit, load_model
from evergreen.training.folds import newer_folds
from evergreen.training.handles import Recipe, Start
from evergreen.training.trial import cross_validate

SPLIT = {"kind": "time", "holdout": "10d"}
SMALL = {
    "gradient_boosting": {"n_estimators": 5},
    "hist_gradient_boosting": {"max_iter": 5, "min_samples_leaf": 5},
    "random_forest": {"n_estimators": 5},
    "extra_trees": {"n_estimators": 5},
    "neural_network": {"hidden_layer_sizes": (5,), "max_iter": 20},
    "custom": {"loss": "log_loss"},
}
SGD = "sklearn.linear_model:SGDClassifier"


def recipe_of(kind: str, **params) -> Recipe:
    encoding = KINDS[kind].encoding if kind in KINDS else "scaled"
    return Recipe(0, kind, {**SMALL.get(kind, {}), **params}, encoding, SGD if kind == "custom" else None)


def going_on(recipe: Recipe) -> Recipe:
    return replace(recipe, encoding="champion")


@pytest.fixture
def grown(customers, spec_of, table_of, tmp_path):
    """A table whose older half a champion of a recipe learned from; with numbers alone where `categories` is False."""

    def grow(recipe: Recipe, categories: bool = True, **changes):
        frame = customers(480)
        frame["level"] = np.where(frame["price"] > 16, "high", "low")
        spec = spec_of(split=SPLIT)
        if not categories:
            spec = spec.model_copy(update={"features": spec.features.model_copy(update={"categorical": ()})})
        half = table_of(frame[frame["at"] < "2026-02-15"], spec)
        champion = fit(recipe, half, 0, tmp_path / "champion")
        newest = half.read_times(half.train_positions()).max()
        start = Start(3, "a" * 64, champion.path, champion.digest, pd.Timestamp(newest).to_pydatetime())
        table = table_of(frame.assign(**changes), spec)
        return spec, replace(table, start=start), load_model(champion.path, champion.digest)

    return grow


KINDS_THAT_GO_ON = ["gradient_boosting", "random_forest", "extra_trees", "neural_network", "custom"]


@pytest.mark.parametrize("kind", KINDS_THAT_GO_ON)
def test_a_recipe_goes_on_with_the_champions_columns_and_what_is_new(grown, kind, tmp_path):
    recipe = recipe_of(kind)
    spec, table, champion = grown(recipe)
    assert why_not(recipe, table, 0) == ""
    new = table.new_rows(table.train_positions())
    models = [fit(going_on(recipe), table, 0, tmp_path / name) for name in ("one", "two")]
    first, second = (load_model(model.path, model.digest) for model in models)
    assert models[0].train_rows == new.sum() < len(new)
    frame = table.read_inputs(table.train_positions())
    assert np.array_equal(first[:3].transform(frame), champion[:3].transform(frame), equal_nan=True)
    assert (first.predict_proba(frame) == second.predict_proba(frame)).all()
    assert (first.predict_proba(frame) != champion.predict_proba(frame)).any()
    folds = encode_folds(table, spec.training, "champion", tmp_path)
    assert np.isfinite(cross_validate(going_on(recipe), folds, "accuracy", 0, tmp_path).scores).all()


@pytest.mark.parametrize("kind", ["gradient_boosting", "random_forest", "hist_gradient_boosting"])
def test_trees_that_there_are_stay_and_more_grow(grown, kind, tmp_path):
    recipe = recipe_of(kind)
    _, table, champion = grown(recipe, categories=False)
    model = fit(going_on(recipe), table, 0, tmp_path)
    grown_on = load_model(model.path, model.digest)[-1]
    trees = {"hist_gradient_boosting": "_predictors"}.get(kind, "estimators_")
    before, after = (np.ravel(getattr(each, trees)) for each in (champion[-1], grown_on))
    assert len(after) == 2 * len(before)
    X = champion[:-1].transform(table.read_inputs(table.train_positions()))
    if kind != "hist_gradient_boosting":
        assert all((a.predict(X) == b.predict(X)).all() for a, b in zip(before, after, strict=False))


def test_no_row_that_the_champion_learned_from_judges_anybody(grown, tmp_path):
    spec, table, _ = grown(recipe_of("custom"))
    rows = table.train_positions()
    times = table.read_times(rows)
    for train, validation in plan_folds(table, spec.training).sides:
        assert times[validation].min() > np.datetime64(table.start.newer_than)
        assert times[train].max() < times[validation].min()
        assert not table.new_rows(rows[train]).all()
    folds = encode_folds(table, spec.training, "champion", tmp_path)
    learned = [len(read_fold(folds, place).y_train) for place in range(3)]
    assert learned == [int(table.new_rows(rows[train]).sum()) for train, _ in plan_folds(table, spec.training).sides]


def test_folds_leave_the_gap_also_before_old_rows():
    times, new = np.datetime64("2026-01-01") + np.arange(80) * np.timedelta64(1, "D"), np.arange(80) >= 40
    for train, validation in newer_folds(times, new, 3, gap=timedelta(days=7)):
        assert times[validation].min() - times[train].max() >= np.timedelta64(7, "D")
        assert validation.min() >= 40
        assert 0 in train
    with pytest.raises(DataError, match="no row to train on"):
        newer_folds(times, new, 3, gap=timedelta(days=20))


@pytest.mark.parametrize(
    ("champion", "recipe", "said"),
    [
        ("random_forest", recipe_of("custom"), "the champion is a RandomForestClassifier"),
        ("logistic_regression", recipe_of("logistic_regression"), "learns from all rows at once"),
        ("neural_network", recipe_of("neural_network", hidden_layer_sizes=(9,)), "has another hidden_layer_sizes"),
        ("hist_gradient_boosting", recipe_of("hist_gradient_boosting"), "would be unknown to the trees that there are"),
    ],
)
def test_what_cannot_go_on_says_why(grown, champion, recipe, said):
    _, table, _ = grown(recipe_of(champion))
    assert said in why_not(recipe, table, 0)


def test_another_number_of_trees_is_no_other_champion(grown):
    _, table, _ = grown(recipe_of("random_forest"))
    assert why_not(recipe_of("random_forest", n_estimators=2), table, 0) == ""


def test_other_columns_and_other_classes_are_not_gone_on_with(grown):
    recipe = recipe_of("custom")
    _, table, _ = grown(recipe)
    narrow = table.features.model_copy(update={"categorical": ()})
    assert "reads other columns" in why_not(recipe, replace(table, features=narrow), 0)
    _, three, _ = grown(recipe, level=["high", "mid", "low"] * 160)
    assert "tells other classes apart" in why_not(recipe, three, 0)
    late = table.start.newer_than.replace(year=2027)
    assert "no training row is newer" in why_not(recipe, replace(table, start=replace(table.start, newer_than=late)), 0)


def test_a_start_that_somebody_changed_is_not_loaded(grown, tmp_path):
    recipe = recipe_of("custom")
    _, table, champion = grown(recipe)
    path = tmp_path / "other.joblib"
    joblib.dump(champion, path)
    other = replace(table, start=replace(table.start, path=str(path), digest="0" * 64))
    assert file_digest(path) != "0" * 64
    with pytest.raises(IntegrityError, match="not the model that was saved"):
        fit(going_on(recipe), other, 0, tmp_path)


def test_a_classifier_of_names_answers_with_positions(grown):
    _, table, champion = grown(recipe_of("custom", loss="hinge"))
    X = champion[:-1].transform(table.read_inputs(table.train_positions()))
    asked = Positions(champion[-1], ("high", "low"))
    assert (np.asarray(["high", "low"])[asked.predict(X)] == champion[-1].predict(X)).all()
    assert not hasattr(asked, "predict_proba")
    assert table.start.newer_than.replace(tzinfo=UTC).year == 2026
