"""Trials: every kind learns, a finished trial is never run again, nothing is printed."""

import math
import threading
import warnings

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_info

from evergreen.errors import SpecError
from evergreen.training import trial
from evergreen.training.confined import confined
from evergreen.training.encode import encode_folds
from evergreen.training.estimators import KINDS
from evergreen.training.handles import Recipe
from evergreen.training.recipes import plan
from evergreen.training.trial import cross_validate

SMALL = {
    "random_forest": {"n_estimators": 5},
    "extra_trees": {"n_estimators": 5},
    "gradient_boosting": {"n_estimators": 5},
    "hist_gradient_boosting": {"max_iter": 5},
    "neural_network": {"hidden_layer_sizes": [10, 8], "solver": "sgd", "learning_rate_init": 0.01, "max_iter": 20},
}


@pytest.mark.parametrize(("kind", "task"), [(kind, task) for kind in KINDS for task in KINDS[kind].classes])
@pytest.mark.parametrize("metric", ["labels", "probabilities"])
def test_every_kind_learns_its_tasks(kind, task, metric, customers, spec_of, table_of, tmp_path):
    if task == "regression":
        metric = {"labels": "mae", "probabilities": "r2"}[metric]
    else:
        metric = {"labels": "f1_weighted", "probabilities": "log_loss"}[metric]
    spec = spec_of(task, candidates=[{"kind": kind, "params": SMALL.get(kind, {})}], metric=metric)
    (recipe,) = plan(spec.training, task).recipes
    folds = encode_folds(table_of(customers(120), spec), spec.training, recipe.encoding, tmp_path)
    result = cross_validate(recipe, folds, metric, 0, tmp_path)
    assert len(result.scores) == 3
    assert all(map(math.isfinite, result.scores))
    assert result.mean == pytest.approx(np.mean(result.scores))
    assert result.std == pytest.approx(np.std(result.scores))


@pytest.fixture
def ready(customers, spec_of, table_of, tmp_path):
    """Encoded folds of customers, for recipes that scale."""
    spec = spec_of()
    return encode_folds(table_of(customers(), spec), spec.training, "scaled", tmp_path)


def recipe(kind="logistic_regression", candidate=0, **params):
    return Recipe(candidate, kind, params, "scaled")


def test_a_finished_trial_answers_the_next_call(ready, tmp_path, monkeypatch):
    first = cross_validate(recipe(C=1), ready, "accuracy", 0, tmp_path)

    def must_not_run(*_):
        raise AssertionError("a finished trial was run again")

    monkeypatch.setattr(trial, "fit_estimator", must_not_run)
    again = cross_validate(recipe(C=1, candidate=4), ready, "accuracy", 0, tmp_path)
    assert (first.reused, again.reused) == (False, True)
    assert (again.scores, again.seconds, again.rows) == (first.scores, first.seconds, first.rows)
    assert again.recipe.candidate == 4
    for other in (
        lambda: cross_validate(recipe(C=2), ready, "accuracy", 0, tmp_path),
        lambda: cross_validate(recipe(C=1), ready, "f1_macro", 0, tmp_path),
        lambda: cross_validate(recipe(C=1), ready, "accuracy", 1, tmp_path),
        lambda: cross_validate(recipe(C=1), ready, "accuracy", 0, tmp_path, share=0.5),
    ):
        with pytest.raises(AssertionError):
            other()


def test_a_torn_file_of_a_trial_is_no_trial(ready, tmp_path):
    cross_validate(recipe(), ready, "accuracy", 0, tmp_path)
    (stored,) = tmp_path.glob("trial-*.json")
    stored.write_bytes(stored.read_bytes()[:10])
    assert not cross_validate(recipe(), ready, "accuracy", 0, tmp_path).reused
    assert cross_validate(recipe(), ready, "accuracy", 0, tmp_path).reused


def test_a_share_of_the_rows_is_learned_from_and_all_are_validated_on(ready, tmp_path):
    whole, part = (cross_validate(recipe(), ready, "accuracy", 0, tmp_path, share) for share in (1.0, 0.5))
    assert (whole.rows, part.rows) == (120, 60)
    assert set(trial._part(100, 0.2, 3)) < set(trial._part(100, 0.6, 3))


def test_a_fold_with_one_class_does_not_count(customers, spec_of, table_of, tmp_path):
    spec = spec_of(split={"kind": "time", "holdout": "10d"})
    frame = customers().sort_values("at", ignore_index=True)
    frame["level"] = np.where((frame.index < 100) | (frame["price"] < 10), "low", "high")
    folds = encode_folds(table_of(frame, spec), spec.training, "scaled", tmp_path)
    result = cross_validate(recipe(), folds, "roc_auc", 0, tmp_path)
    assert math.isnan(result.scores[0])
    assert result.mean == pytest.approx(np.nanmean(result.scores))
    assert cross_validate(recipe(), folds, "roc_auc", 0, tmp_path).mean == result.mean


def test_a_class_that_a_fold_has_not_learned_costs_probability_and_does_not_crash(
    customers, spec_of, table_of, tmp_path
):
    spec = spec_of(split={"kind": "time", "holdout": "10d"})
    frame = customers().sort_values("at", ignore_index=True)
    frame["level"] = np.where(frame.index < 110, np.where(frame["price"] > 15, "high", "low"), frame["level"])
    folds = encode_folds(table_of(frame, spec), spec.training, "scaled", tmp_path)
    result = cross_validate(recipe(), folds, "log_loss", 0, tmp_path)
    assert all(map(math.isfinite, result.scores))


def test_a_recipe_that_scikit_learn_refuses_is_named(ready, tmp_path):
    with pytest.raises(SpecError, match=r"candidates.2: logistic_regression.* cannot be fitted on 120 rows"):
        cross_validate(recipe(candidate=2, solver="liblinear"), ready, "accuracy", 0, tmp_path)
    assert not list(tmp_path.glob("trial-*"))


def test_a_class_without_probabilities_cannot_be_judged_by_them(ready, tmp_path):
    svm = Recipe(0, "custom", {}, "scaled", "sklearn.svm:LinearSVC")
    assert cross_validate(svm, ready, "accuracy", 0, tmp_path).mean > 0.5
    with pytest.raises(SpecError, match="LinearSVC gives none"):
        cross_validate(svm, ready, "log_loss", 0, tmp_path)


def test_warnings_become_notes_and_are_not_shown(ready, tmp_path, recwarn):
    result = cross_validate(recipe(max_iter=1), ready, "accuracy", 0, tmp_path)
    assert [note.split(":")[0] for note in result.notes] == ["ConvergenceWarning"]
    assert not recwarn.list
    assert cross_validate(recipe(max_iter=1), ready, "accuracy", 0, tmp_path).notes == result.notes


def test_threads_keep_their_own_notes_and_leave_the_process_as_it_was():
    before = warnings.showwarning, [*warnings.filters], sorted(str(pool["num_threads"]) for pool in threadpool_info())
    inside, noted = threading.Barrier(2), {}

    def work(name):
        with confined() as notes:
            inside.wait()
            warnings.warn(name, stacklevel=1)
            assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} <= {1}
            inside.wait()
        noted[name] = list(notes)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert noted == {"one": ["UserWarning: one"], "two": ["UserWarning: two"]}
    after = warnings.showwarning, [*warnings.filters], sorted(str(pool["num_threads"]) for pool in threadpool_info())
    assert after == before


def test_a_column_that_is_empty_in_the_first_fold_is_survived(customers, spec_of, table_of, tmp_path):
    spec = spec_of(split={"kind": "time", "holdout": "10d"})
    frame = customers().sort_values("at", ignore_index=True)
    frame["units"] = frame["units"].astype(float).where(frame.index > 100)
    frame["plan"] = frame["plan"].where(frame.index > 100)
    frame["at"] = pd.to_datetime(frame["at"])
    table = table_of(frame, spec)
    for kind in ("hist_gradient_boosting", "random_forest", "logistic_regression"):
        encoding = KINDS[kind].encoding
        folds = encode_folds(table, spec.training, encoding, tmp_path)
        tried = Recipe(0, kind, SMALL.get(kind, {}), encoding)
        assert math.isfinite(cross_validate(tried, folds, "accuracy", 0, tmp_path).mean)
