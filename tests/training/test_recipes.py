"""Which recipes a search tries, who survives, and what a spec may ask for."""

import math

import pytest

from evergreen.errors import DataError, SpecError
from evergreen.spec.training import TrainingSpec
from evergreen.training.estimators import KINDS, kinds_of
from evergreen.training.handles import Recipe, TrialResult
from evergreen.training.recipes import best, build_estimator, plan, select, validate_recipes
from evergreen.training.search import Rung

GRID = {"kind": "logistic_regression", "grid": {"C": [0.1, 1, 10], "solver": ["lbfgs", "saga"]}}
TREES = {"kind": "random_forest", "params": {"max_depth": 5}}


def training(*candidates, **search):
    return TrainingSpec.model_validate(
        {
            "split": {"kind": "random"},
            "metric": "accuracy",
            "search": search,
            "candidates": candidates,
        }
    )


def result(mean, candidate=0, **params):
    recipe = Recipe(candidate, "logistic_regression", params, "scaled")
    return TrialResult(recipe, "accuracy", (mean,), mean, 0.0, 1.0, 100)


def test_a_grid_tries_every_combination_in_the_order_of_the_spec():
    tried = plan(training(GRID, TREES), "classification")
    assert [recipe.params for recipe in tried.recipes] == [
        {"C": 0.1, "solver": "lbfgs"},
        {"C": 0.1, "solver": "saga"},
        {"C": 1, "solver": "lbfgs"},
        {"C": 1, "solver": "saga"},
        {"C": 10, "solver": "lbfgs"},
        {"C": 10, "solver": "saga"},
        {"max_depth": 5},
    ]
    assert [recipe.candidate for recipe in tried.recipes] == [0] * 6 + [1]
    assert [recipe.encoding for recipe in tried.recipes] == ["scaled"] * 6 + ["native"]
    assert tried.rungs == (Rung(1.0, 1),)


def test_a_random_search_draws_without_repetition_and_never_forgets_a_candidate():
    huge = {"kind": "ridge", "grid": {"alpha": list(range(1, 1001)), "tol": [0.1 / n for n in range(1, 1001)]}}
    drawn = plan(training(huge, {"kind": "decision_tree"}, kind="random", trials=8), "regression").recipes
    assert len({recipe.label for recipe in drawn}) == 8
    assert [recipe.kind for recipe in drawn] == ["ridge"] * 7 + ["decision_tree"]
    assert drawn == plan(training(huge, {"kind": "decision_tree"}, kind="random", trials=8), "regression").recipes


def test_a_random_search_over_little_tries_all_of_it():
    assert len(plan(training(GRID, TREES, kind="random", trials=50), "classification").recipes) == 7


@pytest.mark.parametrize(
    ("trials", "factor", "rungs"),
    [
        (6, 3, [(1 / 9, 2), (1 / 3, 1), (1.0, 1)]),
        (6, 2, [(1 / 8, 3), (1 / 4, 2), (1 / 2, 1), (1.0, 1)]),
        (1, 3, [(1.0, 1)]),
        (4, 50, [(0.02, 1), (1.0, 1)]),
    ],
)
def test_halving_gives_fewer_recipes_more_rows(trials, factor, rungs):
    tried = plan(training(GRID, kind="halving", trials=trials, factor=factor), "classification")
    assert len(tried.recipes) == trials
    assert [(rung.share, rung.keep) for rung in tried.rungs] == [(pytest.approx(s), k) for s, k in rungs]


@pytest.mark.parametrize(
    ("metric", "means", "survivors"),
    [
        ("accuracy", [0.7, 0.9, 0.8], [1, 2]),
        ("mae", [0.7, 0.9, 0.8], [0, 2]),
        ("accuracy", [0.7, math.nan, 0.1], [0, 2]),
        ("accuracy", [0.8, 0.8, 0.8], [0, 1]),
    ],
)
def test_the_best_recipes_survive_a_round_in_the_order_they_were_tried(metric, means, survivors):
    results = [result(mean, C=position) for position, mean in enumerate(means)]
    assert [recipe.params["C"] for recipe in select(results, Rung(0.5, 2), metric)] == survivors


def test_of_equals_the_earlier_candidate_wins_and_then_the_earlier_trial():
    results = [result(0.9, 1, C=1), result(0.9, 0, C=2), result(0.9 + 1e-15, 0, C=3)]
    assert best(results, "accuracy").recipe.params == {"C": 2}


def test_a_search_without_any_score_has_no_winner():
    with pytest.raises(DataError, match="none of 2 recipes could be scored by accuracy"):
        best([result(math.nan), result(math.nan)], "accuracy")


@pytest.mark.parametrize(
    ("candidate", "task", "message"),
    [
        ({"kind": "ridge"}, "classification", r"candidates.1.kind: 'ridge' does no classification; choose one of logi"),
        ({"kind": "logistic_regression"}, "regression", "does no regression; choose one of linear_regression, ridge"),
        (
            {"kind": "decision_tree", "params": {"foo": 1}},
            None,
            "candidates.1.params.foo: .* one of .*max_depth",
        ),
        ({"kind": "decision_tree", "grid": {"foo": [1]}}, None, "candidates.1.grid.foo: "),
        (
            {"kind": "decision_tree", "grid": {"max_depth": [2, "deep"]}},
            None,
            "grid.max_depth.1: The 'max_depth'",
        ),
        ({"kind": "decision_tree", "params": {"max_depth": -1}}, None, "candidates.1.params.max_depth: "),
        ({"kind": "decision_tree", "grid": {"max_depth": []}}, None, "grid.max_depth: has no value to try"),
        (
            {"kind": "decision_tree", "params": {"max_depth": 1}, "grid": {"max_depth": [2]}},
            None,
            "grid.max_depth: stands in params too",
        ),
        ({"kind": "custom"}, None, "candidates.1.estimator: is missing"),
        ({"kind": "custom", "estimator": "nowhere:It"}, None, "candidates.1.estimator: 'nowhere:It' cannot be imp"),
        ({"kind": "decision_tree", "estimator": "sklearn.tree:It"}, None, "candidates.1.estimator: is for kind custom"),
    ],
)
def test_a_candidate_that_cannot_be_built_is_refused_with_its_place(candidate, task, message):
    task = task or "classification"
    good = {"kind": "decision_tree"}
    with pytest.raises(SpecError, match=f"^training.*{message}"):
        validate_recipes(training(good, candidate), task)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_every_kind_is_seeded_and_keeps_to_one_core(task):
    for kind in set(kinds_of(task)) - {"custom"}:
        (recipe,) = plan(training({"kind": kind}), task).recipes
        params = build_estimator(recipe, task, seed=7).get_params()
        assert params.get("random_state", 7) == 7
        # Logistic regression's own is without effect and deprecated.
        assert kind == "logistic_regression" or params.get("n_jobs", 1) == 1


def test_what_the_spec_says_comes_before_defaults():
    (recipe,) = plan(training({"kind": "random_forest", "params": {"random_state": 1}}), "classification").recipes
    assert build_estimator(recipe, "classification", seed=7).random_state == 1


def test_hidden_layers_may_be_written_as_a_list():
    network = {"kind": "neural_network", "params": {"hidden_layer_sizes": [10, 8], "solver": "sgd"}}
    (recipe,) = plan(training(network), "classification").recipes
    assert build_estimator(recipe, "classification", 0).hidden_layer_sizes == (10, 8)


def test_only_histogram_trees_are_told_of_codes():
    for kind in KINDS:
        task = "classification" if "classification" in KINDS[kind].classes else "regression"
        (recipe,) = plan(training({"kind": kind}), task).recipes
        told = build_estimator(recipe, task, 0, [False, True]).get_params().get("categorical_features")
        assert told == ([False, True] if kind == "hist_gradient_boosting" else None)
