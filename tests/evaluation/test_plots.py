import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline

from evergreen.evaluation.evaluate import EvaluationRules, evaluate
from evergreen.evaluation.importance import permutation_importance
from evergreen.evaluation.predict import Contender, Holdout

LABELS, NUMBERS = EvaluationRules("classification", "accuracy"), EvaluationRules("regression", "mae")
CLASSIFIED = {"confusion", "roc", "precision_recall", "calibration", "importance"}


def rows(kinds: int):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"cost in $": rng.normal(size=300), "noise": rng.normal(size=300)})
    names = np.array([f"kind ${k}" for k in range(kinds)])
    y = pd.Series(
        names[np.digitize(frame["cost in $"], np.linspace(-1, 1, kinds + 1)[1:-1])] if kinds else frame["cost in $"] * 2
    )
    return frame, y


def fitted(estimator, frame, y, columns):
    return make_pipeline(ColumnTransformer([("inputs", "passthrough", columns)]), estimator).fit(frame, y)


def draw(kinds: int, folder, champion: bool = True, on=None):
    frame, y = rows(kinds)
    kind, rules = (LogisticRegression, LABELS) if kinds else (LinearRegression, NUMBERS)
    new = Contender(fitted(kind(), frame, y, ["cost in $", "noise"]))
    old = Contender(fitted(kind(), frame, y, ["noise"]), version=2) if champion else None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return evaluate(on or Holdout(frame, y), new, old, rules, y, plots=folder).plots


@pytest.mark.parametrize(
    ("kinds", "champion", "names"),
    [
        (2, True, CLASSIFIED),
        (15, True, CLASSIFIED),
        (3, False, CLASSIFIED),
        (0, True, {"predicted", "residuals", "importance"}),
        (0, False, {"predicted", "residuals", "importance"}),
    ],
)
def test_every_task_has_its_pictures_and_they_are_png_files(kinds, champion, names, tmp_path):
    paths = [tmp_path / path for path in draw(kinds, tmp_path / "plots", champion)]
    assert {path.stem for path in paths} == names | ({"comparison"} if champion else set())
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def test_a_holdout_of_one_class_is_drawn_without_a_crash(tmp_path):
    frame, y = rows(2)
    one = (y == "kind $0").to_numpy()
    on = Holdout(frame[one].reset_index(drop=True), y[one].reset_index(drop=True))
    assert {path.rpartition("/")[2] for path in draw(2, tmp_path, on=on)} >= {"confusion.png", "roc.png"}


def test_the_same_evaluation_gives_the_same_files(tmp_path):
    first, second = (draw(0, tmp_path / name) for name in ("first", "second"))
    for one, other in zip(first, second, strict=True):
        assert (tmp_path / one).read_bytes() == (tmp_path / other).read_bytes()


def test_shuffling_what_a_model_reads_costs_it_and_what_it_ignores_does_not():
    frame, y = rows(2)
    model = fitted(LogisticRegression(), frame, y, ["cost in $"])
    found = permutation_importance("accuracy", model, Holdout(frame, y))
    mean = {each.column: each.mean for each in found}
    assert mean["cost in $"] > 0.3
    assert mean["noise"] == 0.0
    assert permutation_importance("accuracy", model, replace(Holdout(frame, y))) == found
