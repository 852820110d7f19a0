import math
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from evergreen.errors import SpecError
from evergreen.evaluation.metrics import METRICS, metric_names, require_metric, score

CLASSIFICATION, REGRESSION = metric_names("classification"), metric_names("regression")


def classified(classes: tuple[str, ...], rows: int = 400, seed: int = 0):
    """Labels, predictions and coarse (so: tied) probabilities of a middling model."""
    rng = np.random.default_rng(seed)
    y = rng.choice(classes, size=rows, p=np.arange(1, len(classes) + 1) / sum(range(1, len(classes) + 1)))
    truth = (y[:, None] == np.array(classes)).astype(float)
    raw = np.round(rng.dirichlet(np.ones(len(classes)), size=rows) + 0.4 * truth, 1) + 0.05
    probabilities = raw / raw.sum(axis=1, keepdims=True)
    return y, np.array(classes)[probabilities.argmax(axis=1)], probabilities


def by_sklearn(name, y, predicted, probabilities, classes):
    average = {"average": name.rpartition("_")[2]} if name.endswith(("_weighted", "_macro")) else {}
    stem = name.removesuffix("_weighted").removesuffix("_macro")
    if name in ("precision", "recall", "f1"):
        average = {"pos_label": classes[1]}
    many = len(classes) > 2
    matrix = pd.get_dummies(pd.Categorical(y, categories=classes)).to_numpy()
    one_or_all = (matrix, probabilities) if many else (matrix[:, 1], probabilities[:, 1])
    return {
        "accuracy": lambda: sk.accuracy_score(y, predicted),
        "balanced_accuracy": lambda: sk.balanced_accuracy_score(y, predicted),
        "precision": lambda: sk.precision_score(y, predicted, zero_division=0, **average),
        "recall": lambda: sk.recall_score(y, predicted, zero_division=0, **average),
        "f1": lambda: sk.f1_score(y, predicted, zero_division=0, **average),
        "log_loss": lambda: sk.log_loss(y, probabilities, labels=list(classes)),
        "brier": lambda: sk.brier_score_loss(matrix if many else matrix[:, 1], one_or_all[1]),
        "roc_auc": lambda: sk.roc_auc_score(*one_or_all, average="weighted"),
        "pr_auc": lambda: sk.average_precision_score(*one_or_all, average="weighted"),
    }[stem]()


@pytest.mark.parametrize("name", CLASSIFICATION)
@pytest.mark.parametrize("classes", [("no", "yes"), ("a", "b", "c", "d")])
def test_a_classification_metric_is_what_scikit_learn_says(name, classes):
    y, predicted, probabilities = classified(classes)
    ours = score([name], y, predicted, probabilities, classes)[name]
    if name in ("precision", "recall", "f1") and len(classes) > 2:
        assert ours is None
    else:
        assert ours == pytest.approx(by_sklearn(name, y, predicted, probabilities, classes), abs=1e-12)


@pytest.mark.parametrize("name", REGRESSION)
@pytest.mark.parametrize("rows", [3, 4, 501])
def test_a_regression_metric_is_what_scikit_learn_says(name, rows):
    rng = np.random.default_rng(1)
    y = rng.normal(1e6, 1e3, rows)
    predicted = y + rng.normal(0, 900, rows)
    theirs = {
        "mae": sk.mean_absolute_error,
        "rmse": sk.root_mean_squared_error,
        "r2": sk.r2_score,
        "mape": sk.mean_absolute_percentage_error,
        "median_absolute_error": sk.median_absolute_error,
    }[name](y, predicted)
    assert score([name], y, predicted)[name] == pytest.approx(theirs, rel=1e-9)


NOT_WITH_ONE_CLASS = {"balanced_accuracy", "roc_auc", "pr_auc", "precision", "recall", "f1"}


def test_a_holdout_of_one_class_has_no_metric_that_compares_classes_and_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = score(CLASSIFICATION, ["no"] * 4, ["no", "no", "no", "yes"], [[0.7, 0.3]] * 4, ["no", "yes"])
    assert {name for name, value in scores.items() if value is None} == NOT_WITH_ONE_CLASS
    assert scores["accuracy"] == 0.75


def test_a_model_that_never_says_yes_has_a_precision_of_zero_when_there_was_something_to_find():
    scores = score(["precision", "recall", "f1"], ["no", "yes"], ["no", "no"], None, ["no", "yes"])
    assert scores == {"precision": 0.0, "recall": 0.0, "f1": 0.0}


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_a_missing_label_leaves_no_metric(name):
    arguments = (["no", None, "yes"], ["no", "no", "yes"], [[0.7, 0.3]] * 3, ["no", "yes"])
    assert score([name], *arguments) == {name: None}


@pytest.mark.parametrize("name", [n for n in CLASSIFICATION if METRICS[n].needs == "probabilities"])
@pytest.mark.parametrize("probabilities", [None, [[math.nan, math.nan], [0.5, 0.5]]])
def test_without_probabilities_no_metric_reads_them(name, probabilities):
    assert score([name], ["no", "yes"], ["no", "yes"], probabilities, ["no", "yes"]) == {name: None}


@pytest.mark.parametrize("name", REGRESSION)
@pytest.mark.parametrize("predicted", [[1.0, math.nan], [math.inf, 2.0]])
def test_a_prediction_that_is_no_number_leaves_no_metric(name, predicted):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert score([name], [1.0, 2.0], predicted) == {name: None}


@pytest.mark.parametrize(("name", "y"), [("r2", [5.1, 5.1, 5.1]), ("r2", [5.1]), ("mape", [0.0, 1.0, 2.0])])
def test_a_regression_metric_that_the_targets_rule_out_does_not_exist(name, y):
    assert score([name], y, [1.0] * len(y)) == {name: None}


@pytest.mark.parametrize("name", [*CLASSIFICATION, *REGRESSION])
def test_no_rows_give_no_metric(name):
    assert score([name], [], [], None, ["no", "yes"]) == {name: None}


def test_a_class_the_model_never_saw_costs_it_and_does_not_crash():
    y, predicted = ["a", "b", "new"], ["a", "b", "a"]
    scores = score(["accuracy", "log_loss", "roc_auc"], y, predicted, [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], ["a", "b"])
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert scores["log_loss"] > 10
    assert scores["roc_auc"] is not None


def test_the_order_in_which_classes_are_named_does_not_matter():
    y, predicted, probabilities = classified(("no", "yes"))
    named = score(CLASSIFICATION, y, predicted, probabilities, ["no", "yes"])
    assert named == score(CLASSIFICATION, y, predicted, probabilities[:, ::-1], ["yes", "no"])


def test_labels_may_come_as_categories():
    y, predicted, probabilities = classified(("no", "yes"))
    as_category = pd.Series(y).astype(pd.CategoricalDtype(["yes", "no", "never"]))
    assert score(CLASSIFICATION, as_category, predicted, probabilities, ["no", "yes"]) == score(
        CLASSIFICATION, y, predicted, probabilities, ["no", "yes"]
    )


@pytest.mark.parametrize(("name", "task"), [("f1_weightd", "classification"), ("rmse", "classification")])
def test_a_metric_that_a_task_lacks_is_refused_with_the_choices(name, task):
    with pytest.raises(SpecError, match=rf"spec\.yaml: training\.metric: .*'{name}'.*f1_weighted") as refused:
        require_metric(name, task, "spec.yaml: training.metric")
    assert "mae" not in str(refused.value)


def test_errors_count_down_and_shares_of_success_count_up():
    down = {name for name, metric in METRICS.items() if not metric.greater_is_better}
    assert down == {"log_loss", "brier", "mae", "rmse", "mape", "median_absolute_error"}
