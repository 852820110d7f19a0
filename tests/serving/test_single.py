"""One row and a linear model: what plain numbers say is what the matrix says."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import special

from evergreen.registry.artifact import answer
from evergreen.serving import engine as engines
from evergreen.serving.encode import LARGEST
from evergreen.serving.engine import CompiledEngine, build_engine
from evergreen.serving.parity import apart, disturbed
from evergreen.serving.single import expit, single
from evergreen.spec.features import FeatureSpec
from tests.serving.pipelines import columns_read, fitted, frame, rows

PLAIN = FeatureSpec(numeric=("price", "unit count", "gift"), categorical=("plan", "größe", "class"))
ONE_NUMBER = FeatureSpec(numeric=("price",), categorical=())
NO_NUMBER = FeatureSpec(numeric=(), categorical=("plan", "unit count", "gift"))
NUMBERS_AS_TEXTS = FeatureSpec(numeric=("price",), categorical=("unit count", "gift", "plan"))
DERIVED = FeatureSpec.model_validate(
    {"derive": [{"name": "log", "kind": "log", "of": "price"}], "numeric": ["log"], "categorical": ["plan"]}
)


def engine_of(kind, task, features, classes=2):
    pipeline = fitted(kind, task, features, classes=classes)
    requests = frame(20, seed=2)[list(pipeline["read"].types)]
    return build_engine(pipeline, requests, answer(pipeline, requests)), pipeline


@pytest.mark.parametrize("features", [PLAIN, ONE_NUMBER, NO_NUMBER, NUMBERS_AS_TEXTS], ids=range(4))
@pytest.mark.parametrize(
    ("kind", "task"), [("logistic_regression", "classification"), ("ridge", "regression")], ids=["labels", "numbers"]
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_row_alone_is_answered_as_among_others(kind, task, features):
    engine, pipeline = engine_of(kind, task, features)
    assert engine.single is not None
    columns = columns_read(pipeline)
    asked = rows(columns, seed=3)
    for row in [*asked, *disturbed(columns, asked)]:
        alone, matrix = engine.single(row), engine.predict(engine.encoder([row]))
        assert alone.classes == matrix.classes
        assert apart(alone, matrix) < 1e-12
        assert type(alone.predictions[0]) is type(matrix.predictions[0])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_scaling_takes_beyond_float32_is_the_largest_there():
    engine, pipeline = engine_of("logistic_regression", "classification", PLAIN)
    scale = replace(engine.encoder.scale, scale=engine.encoder.scale.scale * 1e-3)
    encoder = replace(engine.encoder, scale=scale)
    alone = single(pipeline[-1], encoder)
    for number in (LARGEST, -LARGEST, 1e38):
        row = (number, *rows(columns_read(pipeline), 1)[0][1:])
        assert apart(alone(row), engine.predict(encoder([row]))) < 1e-12


@pytest.mark.parametrize(
    ("kind", "features", "classes"),
    [("logistic_regression", PLAIN, 3), ("logistic_regression", DERIVED, 2), ("hist_gradient_boosting", PLAIN, 2)],
    ids=["three classes", "a derived column", "trees"],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_needs_a_matrix_gets_one(kind, features, classes):
    engine, _ = engine_of(kind, "classification", features, classes)
    assert isinstance(engine, CompiledEngine)
    assert engine.single is None


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_one_that_says_something_else_is_not_used(monkeypatch):
    _, pipeline = engine_of("logistic_regression", "classification", PLAIN)
    honest = engines.single

    def wrong(estimator, encoder):
        found = honest(estimator, encoder)
        return lambda row: replace(found(row), probabilities=np.array([[0.5, 0.5]]))

    monkeypatch.setattr(engines, "single", wrong)
    requests = frame(20, seed=2)[list(pipeline["read"].types)]
    built = build_engine(pipeline, requests, answer(pipeline, requests))
    assert (built.name, built.single) == ("compiled", None)
    assert built.why.startswith("a faster way was not taken: its answers to 1 at a time are not those to all at once")


@pytest.mark.parametrize("score", [-1e308, -750.0, -1.5, -0.0, 1e-300, 2.0, 40.0, 750.0])
def test_the_logistic_function_is_scipys(score):
    assert math.isclose(expit(score), float(special.expit(score)), rel_tol=1e-15, abs_tol=0)
