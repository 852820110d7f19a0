"""Engines answer what the pipeline answers, or step back for it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression as Original

from evergreen.errors import IntegrityError
from evergreen.evaluation.predict import ask
from evergreen.registry.artifact import TOLERANCE, answer, load_skops
from evergreen.serving import engine as engines
from evergreen.serving import forests, histograms, models
from evergreen.serving.engine import build_engine
from evergreen.serving.handles import Answers
from evergreen.serving.parity import apart
from evergreen.serving.rows import frame_to_rows, rows_to_frame
from evergreen.spec.features import FeatureSpec
from evergreen.training.estimators import KINDS
from tests.serving.pipelines import columns_read, features, fitted, frame, rows, target

CASES = [(kind, task, seed) for kind, how in KINDS.items() for seed, task in enumerate(how.classes)]
CASES += [(kind, task, 2) for kind, task, _ in CASES if task == "classification"]
PLAIN = FeatureSpec(numeric=("price", "unit count"), categorical=("plan",))


class LogisticRegression(Original):
    """Of the same name as scikit-learn's, and another mind."""

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


def fastest(kind):
    return "numba" if kind == "hist_gradient_boosting" else "compiled"


def built(pipeline):
    requests = frame(20, seed=2)[list(pipeline["read"].types)]
    return build_engine(pipeline, requests, answer(pipeline, requests))


def require_same(engine, pipeline, asked):
    columns = columns_read(pipeline)
    truth = ask(pipeline, rows_to_frame(columns, asked))
    together = engine.answer(asked)
    if truth.classes:
        assert list(together.predictions) == list(truth.predicted)
    else:
        assert list(together.predictions) == pytest.approx(list(truth.predicted), rel=TOLERANCE, abs=TOLERANCE)
    assert together.classes == truth.classes
    if truth.probabilities is not None:
        assert np.abs(together.probabilities - truth.probabilities).max() <= TOLERANCE
    for count in (1, 7):
        for start in range(0, len(asked), count):
            few = engine.answer(asked[start : start + count])
            there = slice(start, start + len(few.predictions))
            part = None if together.probabilities is None else together.probabilities[there]
            assert apart(few, replace(together, predictions=together.predictions[there], probabilities=part)) < 1e-9


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore::RuntimeWarning")
@pytest.mark.parametrize(("kind", "task", "seed"), CASES)
def test_compiled_answers_are_the_pipelines(kind, task, seed):
    pipeline = fitted(kind, task, features(seed), classes=3 - seed // 2)
    engine = built(pipeline)
    assert engine.name == fastest(kind)
    # Neighbours are searched by scikit-learn itself; everything else is quicker without it.
    assert bool(engine.why) == (kind == "k_neighbors")
    require_same(engine, pipeline, rows(columns_read(pipeline), seed=seed))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "error::RuntimeWarning")
@pytest.mark.parametrize(("kind", "task"), [(kind, task) for kind, how in KINDS.items() for task in how.classes])
def test_a_number_that_scaling_takes_beyond_float32_is_answered_by_every_kind(kind, task):
    pipeline = fitted(kind, task, PLAIN)
    if pipeline["encode"].encoding == "scaled":
        # As of columns that vary little.
        pipeline["encode"].scale_ = pipeline["encode"].scale_ * 0.01
        pipeline[-1].fit(pipeline[:-1].transform(frame()), target(frame(), task))
    engine = built(pipeline)
    assert engine.name == fastest(kind)
    asked = [(*row[:-1], "pro") for row in [(3.4e38, 9e15, ""), (-3.4e38, -9e15, ""), (3.4e38, -9e15, "")]]
    require_same(engine, pipeline, asked)
    told = engine.answer(asked)
    assert np.isfinite(told.predictions if told.probabilities is None else told.probabilities).all()


@pytest.mark.parametrize("params", [{"max_depth": 2}, {"n_estimators": 1}, {"criterion": "log_loss"}])
def test_forests_of_any_shape_answer_alike(params):
    pipeline = fitted("random_forest", "classification", features(5), **params)
    engine = built(pipeline)
    assert (engine.name, engine.why) == ("compiled", "")
    require_same(engine, pipeline, rows(columns_read(pipeline), seed=5))


@pytest.mark.parametrize(
    ("kind", "task", "params"),
    [
        ("hist_gradient_boosting", "regression", {"loss": "poisson"}),
        ("hist_gradient_boosting", "regression", {"loss": "quantile", "quantile": 0.8}),
        ("hist_gradient_boosting", "classification", {"early_stopping": True, "max_iter": 40}),
        ("gradient_boosting", "classification", {"loss": "exponential"}),
        ("gradient_boosting", "regression", {"init": "zero"}),
        ("logistic_regression", "classification", {"solver": "liblinear"}),
        ("neural_network", "classification", {"activation": "tanh"}),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore::RuntimeWarning")
def test_other_losses_and_solvers_answer_alike(kind, task, params):
    pipeline = fitted(kind, task, features(7), classes=2, **params)
    engine = built(pipeline)
    assert (engine.name, engine.why) == (fastest(kind), "")
    require_same(engine, pipeline, rows(columns_read(pipeline), seed=7))


def test_a_class_of_the_same_name_is_asked_itself():
    pipeline = fitted("logistic_regression", "classification", PLAIN)
    own = LogisticRegression(max_iter=50).fit(pipeline[:-1].transform(frame()), pd.Series(["a", "b"] * 80))
    pipeline.steps[-1] = ("model", own)
    engine = built(pipeline)
    assert engine.why == "LogisticRegression is asked as it is; rows reach it compiled"
    assert set(engine.answer(rows(columns_read(pipeline))).predictions) == {"a"}


def test_a_transformer_of_the_teams_own_is_served_by_the_pipeline():
    made = {"name": "made", "kind": "custom", "transformer": "sklearn.preprocessing:MaxAbsScaler", "of": ["price"]}
    spec = FeatureSpec.model_validate({"derive": [made], "numeric": ["made", "unit count"], "categorical": ["plan"]})
    pipeline = fitted("hist_gradient_boosting", "classification", spec)
    engine = built(pipeline)
    assert engine.name == "pipeline"
    assert engine.why == "made is derived by MaxAbsScaler, which is not Evergreen's own"
    require_same(engine, pipeline, rows(columns_read(pipeline), 10))


def planted(change):
    """A compiler whose answers are changed."""

    def compile_wrongly(estimator, encoder):
        predict = models._logistic(estimator, encoder)
        return lambda matrix: change(matrix, predict(matrix))

    return compile_wrongly


def off_by_little(matrix, given):
    return replace(given, probabilities=given.probabilities + 1e-8)


def wrong_for_one_alone(matrix, given):
    return replace(given, probabilities=given.probabilities + (len(matrix) == 1) * 1e-8)


def wrong_class(matrix, given):
    return replace(given, predictions=[given.classes[0]] * len(matrix))


def broken(matrix, given):
    raise TypeError("an argument has moved")


@pytest.mark.parametrize("change", [off_by_little, wrong_for_one_alone, wrong_class, broken])
def test_a_shortcut_that_answers_differently_is_not_taken(change, monkeypatch):
    pipeline = fitted("logistic_regression", "classification", PLAIN)
    monkeypatch.setitem(models._COMPILERS, "LogisticRegression", planted(change))
    engine = built(pipeline)
    assert engine.why == "LogisticRegression is asked as it is; rows reach it compiled"
    monkeypatch.undo()
    require_same(engine, pipeline, rows(columns_read(pipeline)))


@pytest.mark.parametrize("moved", ["_predictors", "_bin_mapper", "_preprocessor", "_baseline_prediction"])
def test_an_attribute_that_scikit_learn_moves_costs_speed_only(moved):
    pipeline = fitted("hist_gradient_boosting", "classification", PLAIN)

    class Hiding:
        def __getattr__(self, name):
            return getattr(None if name == moved else pipeline[-1], name)

    encoder = engines.compile_encoder(pipeline)
    for compiler in (models._histogram, models._histogram_by_numba):
        predict, why = models._compiled(compiler, Hiding(), encoder)
        assert predict is None
        assert moved in why or "NoneType" in why


def test_an_encoder_that_is_wrong_about_what_was_never_seen_is_not_used(monkeypatch):
    def careless(pipeline):
        encoder = compile_encoder(pipeline)
        category = encoder.categories[0]
        codes = replace(category.codes, unseen=0)
        return replace(encoder, categories=(replace(category, codes=codes), *encoder.categories[1:]))

    compile_encoder = engines.compile_encoder
    pipeline = fitted("logistic_regression", "classification", PLAIN)
    monkeypatch.setattr(engines, "compile_encoder", careless)
    engine = built(pipeline)
    assert engine.name == "pipeline"
    assert "not the pipeline's" in engine.why


@pytest.mark.parametrize("field", ["predictions", "probabilities"])
def test_a_pipeline_that_forgot_its_answers_is_not_served(field):
    pipeline = fitted("logistic_regression", "classification", PLAIN)
    requests = frame(20, seed=2)[list(pipeline["read"].types)]
    expected = answer(pipeline, requests)
    other = {"predictions": ("other",) * 20, "probabilities": ((0.2, 0.3, 0.5),) * 20}
    with pytest.raises(IntegrityError, match="answers its stored requests differently"):
        build_engine(pipeline, requests, replace(expected, **{field: other[field]}))


def test_raw_requests_are_read_as_training_read_them():
    pipeline = fitted("ridge", "regression", PLAIN)
    raw = pd.DataFrame({"price": ["1.5", None], "unit count": [2, 3], "plan": ["pro", ""]})
    engine = build_engine(pipeline, raw, answer(pipeline, raw))
    asked = frame_to_rows(columns_read(pipeline), pipeline["read"].transform(raw))
    assert engine.answer(asked).predictions == pytest.approx(pipeline.predict(raw).tolist(), rel=1e-12)


def test_answers_of_other_shapes_are_apart():
    two, three = np.full((1, 2), 0.5), np.full((1, 3), 1 / 3)
    assert apart(Answers(["a"], two), Answers(["a"], three)) == np.inf
    assert apart(Answers(["a"], two), Answers(["a"])) == np.inf
    assert apart(Answers([np.nan]), Answers([np.nan])) == np.inf
    assert apart(Answers([1.0, 2.0]), Answers([1.0])) == np.inf


@pytest.mark.parametrize("kind", ["hist_gradient_boosting", "random_forest"])
def test_trees_say_the_same_at_once_in_parts_and_one_by_one(kind, monkeypatch):
    monkeypatch.setattr(models, "_BY_NUMBA", {})
    pipeline = fitted(kind, "classification", features(4))
    engine, asked = built(pipeline), rows(columns_read(pipeline), 90)
    truth = pipeline.predict_proba(rows_to_frame(columns_read(pipeline), asked))
    np.testing.assert_allclose(engine.answer(asked).probabilities, truth, rtol=0, atol=1e-12)
    monkeypatch.setattr(histograms, "_masks", lambda *trees: None)
    for few, pairs in ((1000, 10**6), (1000, 50), (1000, 1), (0, 1)):
        monkeypatch.setattr(histograms, "PAIRS", pairs)
        monkeypatch.setattr(histograms, "FEW", few)
        monkeypatch.setattr(histograms, "SOME", few)
        monkeypatch.setattr(forests, "FEW", few)
        engine = built(pipeline)
        assert engine.why == ""
        np.testing.assert_array_equal(engine.answer(asked).probabilities, truth)


@pytest.mark.parametrize(
    ("leaves", "task"),
    [(2, "regression"), (31, "classification"), (33, "regression"), (64, "regression"), (70, "regression")],
)
def test_masks_say_what_the_trees_say(leaves, task):
    params = {"max_leaf_nodes": leaves, "min_samples_leaf": 1, "max_iter": 8}
    pipeline = fitted("hist_gradient_boosting", task, features(leaves), **params)
    compiled = histograms.histogram_trees(pipeline[-1], engines.compile_encoder(pipeline))
    assert (compiled.masks is None) == (leaves > 64)
    matrix = pipeline[:-1].transform(rows_to_frame(columns_read(pipeline), rows(columns_read(pipeline), 300)))
    found = np.vstack([compiled.scores(matrix[:3]), compiled.scores(matrix[3:])])
    np.testing.assert_allclose(found, pipeline[-1]._raw_predict(matrix), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "kind", ["logistic_regression", "hist_gradient_boosting", "random_forest", "gradient_boosting"]
)
def test_a_saved_pipeline_is_compiled_as_well(kind):
    pipeline = load_skops(skops.io.dumps(fitted(kind, "classification", PLAIN)))
    engine = built(pipeline)
    assert (engine.name, engine.why) == (fastest(kind), "")
    require_same(engine, pipeline, rows(columns_read(pipeline)))
