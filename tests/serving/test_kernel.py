"""Trees as machine code say what scikit-learn says, to the last digit, and are never needed."""

import importlib.abc
import sys
import threading

import numpy as np
import pytest

from evergreen.features.pipeline import with_estimator
from evergreen.serving import models
from evergreen.serving.encode import compile_encoder
from evergreen.serving.histograms import histogram_trees
from evergreen.serving.kernel import Kernel, kernel
from evergreen.serving.rows import rows_to_frame
from evergreen.serving.uncompiled import NotCompilable
from tests.serving.pipelines import columns_read, features, fitted, frame, rows
from tests.serving.test_engine import PLAIN, built, require_same

KIND = "hist_gradient_boosting"


def kernel_of(pipeline):
    encoder = compile_encoder(pipeline)
    trees = histogram_trees(pipeline[-1], encoder)
    return kernel(trees.masks, trees.order, trees.baseline, encoder.width)


def matrix_of(pipeline, count=300):
    columns = columns_read(pipeline)
    return pipeline[:-1].transform(rows_to_frame(columns, rows(columns, count)))


@pytest.mark.parametrize(
    ("leaves", "task", "classes"),
    [
        (2, "regression", 0),
        (31, "classification", 2),
        (32, "classification", 3),
        (33, "regression", 0),
        (64, "classification", 3),
    ],
)
def test_scores_are_scikit_learns_to_the_last_digit(leaves, task, classes):
    params = {"max_leaf_nodes": leaves, "min_samples_leaf": 1, "max_iter": 9}
    pipeline = fitted(KIND, task, features(leaves), classes=classes, **params)
    asked, matrix = kernel_of(pipeline), matrix_of(pipeline)
    # Whole blocks of rows, one less, one more, and single ones.
    for count in (1, 2, 31, 32, 33, 64, 300):
        found = np.vstack([asked.scores(matrix[start : start + count]) for start in range(0, 300, count)])
        np.testing.assert_array_equal(found, pipeline[-1]._raw_predict(matrix))


@pytest.mark.parametrize("seed", range(6))
def test_values_on_thresholds_beside_them_and_beyond_all_fall_where_they_should(seed):
    pipeline = fitted(KIND, "regression", features(seed), max_iter=20)
    asked, matrix = kernel_of(pipeline), matrix_of(pipeline)
    draw = np.random.default_rng(seed)
    known = np.concatenate([each.nodes["num_threshold"] for some in pipeline[-1]._predictors for each in some])
    edges = known[np.isfinite(known)].astype(np.float32)
    beside = [edges, np.nextafter(edges, np.float32(np.inf)), np.nextafter(edges, np.float32(-np.inf))]
    numbers = np.concatenate([*beside, np.array([np.nan, 0, -0.0, 3.4e38, -3.4e38, np.inf, -np.inf], np.float32)])
    numeric = np.setdiff1d(np.arange(matrix.shape[1]), np.flatnonzero(pipeline["encode"].categorical_mask_))
    matrix[:, numeric] = draw.choice(numbers, (len(matrix), len(numeric)))
    np.testing.assert_array_equal(asked.scores(matrix), pipeline[-1]._raw_predict(matrix))


def test_every_category_and_what_is_none_fall_where_they_should():
    pipeline = fitted(KIND, "classification", PLAIN, classes=2)
    asked, matrix = kernel_of(pipeline), matrix_of(pipeline, 60)
    (column,) = np.flatnonzero(pipeline["encode"].categorical_mask_)
    known = len(pipeline["encode"].categories_.names_[0])
    for code in (*range(known + 2), np.nan, -1, -0.5, 0.5, 254, 255, 256, 257, 300, 1e9, -1e9, 1e30):
        matrix[:, column] = code
        np.testing.assert_array_equal(asked.scores(matrix), pipeline[-1]._raw_predict(matrix))


def test_many_threads_ask_at_once():
    pipeline = fitted(KIND, "regression", PLAIN, max_iter=30)
    asked, matrix = kernel_of(pipeline), matrix_of(pipeline)
    truth, wrong = pipeline[-1]._raw_predict(matrix), []

    def ask():
        wrong.extend(None for _ in range(50) if not np.array_equal(asked.scores(matrix), truth))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_without_numba_the_trees_are_asked_by_arrays_and_it_is_said(monkeypatch):
    pipeline = fitted(KIND, "classification", PLAIN)
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "evergreen.serving.kernel")
    engine = built(pipeline)
    assert engine.name == "compiled"
    assert engine.why == "its trees cost a third with numba: pip install 'evergreen[numba]'"
    require_same(engine, pipeline, rows(columns_read(pipeline)))


@pytest.mark.parametrize("error", [OSError("no LLVM here"), ImportError("of another numpy"), ModuleNotFoundError("?")])
def test_a_numba_that_does_not_load_costs_speed_only(error, monkeypatch):
    pipeline = fitted(KIND, "classification", PLAIN)

    class Broken(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path=None, target=None):
            if name == "numba":
                raise error

    monkeypatch.delitem(sys.modules, "numba")
    monkeypatch.delitem(sys.modules, "evergreen.serving.kernel")
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    engine = built(pipeline)
    assert (engine.name, engine.why) == ("compiled", f"numba does not work here ({type(error).__name__}: {error})")
    require_same(engine, pipeline, rows(columns_read(pipeline)))


def test_a_kernel_that_does_not_compile_costs_speed_only(monkeypatch):
    pipeline = fitted(KIND, "classification", PLAIN)

    def failing(*given):
        raise RuntimeError("LLVM is of another mind")

    monkeypatch.setattr("evergreen.serving.kernel._scores", failing)
    engine = built(pipeline)
    assert engine.name == "compiled"
    assert engine.why == "a faster way was not taken: it does not answer (RuntimeError)"


def test_a_kernel_that_says_something_else_is_not_used(monkeypatch):
    pipeline = fitted(KIND, "classification", PLAIN, classes=2)
    honest = Kernel.scores
    monkeypatch.setattr("evergreen.serving.kernel.Kernel.scores", lambda self, matrix: honest(self, matrix) + 1e-6)
    engine = built(pipeline)
    assert engine.name == "compiled"
    assert "its answers are not the pipeline's" in engine.why
    require_same(engine, pipeline, rows(columns_read(pipeline)))


def test_trees_that_are_too_large_or_ask_nothing_are_asked_otherwise():
    large = fitted(KIND, "regression", features(70), max_leaf_nodes=70, min_samples_leaf=1, max_iter=4)
    assert (built(large).name, built(large).why) == ("compiled", "its trees are too large for the faster way")
    idle = fitted(KIND, "regression", PLAIN, min_samples_leaf=1000)
    assert (built(idle).name, built(idle).why) == ("compiled", "its trees ask about nothing")
    for pipeline in (large, idle):
        require_same(built(pipeline), pipeline, rows(columns_read(pipeline)))


def test_columns_that_are_not_there_are_not_read():
    pipeline = fitted(KIND, "regression", PLAIN)
    encoder = compile_encoder(pipeline)
    trees, matrix = histogram_trees(pipeline[-1], encoder), matrix_of(pipeline)
    with pytest.raises(NotCompilable, match="its trees ask about more than 1 columns"):
        kernel(trees.masks, trees.order, trees.baseline, 1)
    for width in (1, encoder.width - 1, encoder.width + 1):
        with pytest.raises(ValueError, match=f"a matrix of {width} columns, where {encoder.width} are asked about"):
            kernel_of(pipeline).scores(np.resize(matrix, (5, width)))


def test_only_scikit_learns_own_class_is_compiled():
    pipeline = fitted(KIND, "classification", PLAIN)
    own = type("HistGradientBoostingClassifier", (type(pipeline[-1]),), {"__module__": "team.models"})
    estimator = own(**pipeline[-1].get_params()).fit(pipeline[:-1].transform(frame()), ["a", "b"] * 80)
    changed = with_estimator(pipeline[:-1], estimator)
    (only,) = models.candidates(estimator, compile_encoder(changed))
    assert only.why == "HistGradientBoostingClassifier is asked as it is; rows reach it compiled"
