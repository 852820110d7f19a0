"""Fitted estimators as functions of a matrix, without scikit-learn's checks of what they are called with.

Each is known by its exact class, reads attributes that scikit-learn does not promise to keep, and is used only after
its answers were compared with those of the estimator itself.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from evergreen.serving.encode import Encoder
from evergreen.serving.forests import forest
from evergreen.serving.handles import Answers
from evergreen.serving.histograms import histogram_trees
from evergreen.serving.uncompiled import NotCompilable

Matrix = npt.NDArray[Any]
Predict = Callable[[Matrix], Answers]
Compiler = Callable[[Any, Encoder], Predict]

# What reading an attribute that has moved, or a call that takes other arguments now, ends in.
MOVED = (AttributeError, ImportError, KeyError, IndexError, TypeError, ValueError, NotCompilable)


class Candidate(NamedTuple):
    """A function that may answer for an estimator, the name of its engine, and why that is not a faster one."""

    engine: str
    why: str
    predict: Predict


def candidates(estimator: Any, encoder: Encoder) -> Iterator[Candidate]:
    """What may answer for an estimator, the fastest first; the last is the estimator itself."""
    name, why = type(estimator).__name__, ""
    is_known = type(estimator).__module__.startswith("sklearn.")
    for engine, compilers in (("numba", _BY_NUMBA), ("compiled", _COMPILERS)):
        if is_known and name in compilers:
            predict, why = _compiled(compilers[name], estimator, encoder, why)
            if predict is not None:
                yield Candidate(engine, why, predict)
    yield Candidate("compiled", f"{name} is asked as it is; rows reach it compiled", _itself(estimator))


def _compiled(compiler: Compiler, estimator: Any, encoder: Encoder, before: str = "") -> tuple[Predict | None, str]:
    """A function, and why it is not a faster one; or none, and why."""
    try:
        return compiler(estimator, encoder), before
    except MOVED as error:
        return None, told(error)


def told(error: BaseException) -> str:
    """What stood in the way of a faster engine, in a few words."""
    return str(error) if isinstance(error, NotCompilable) else f"{type(error).__name__}: {error}"


def _itself(estimator: Any) -> Predict:
    from evergreen.evaluation.predict import ask

    def predict(matrix: Any) -> Answers:
        given = ask(estimator, matrix)
        return Answers(list(map(_plain, given.predicted)), given.probabilities, given.classes)

    return predict


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else float(value)


def classes_of(estimator: Any) -> tuple[str, ...]:
    """The names of the classes, in the order of the probabilities."""
    return tuple(str(name) for name in estimator.classes_)


def labelled(classes: tuple[str, ...], index: Any, probabilities: Matrix) -> Answers:
    """Answers of a classifier that says the class at `index`."""
    return Answers([classes[i] for i in index.tolist()], probabilities, classes)


def two_columns(second: Matrix) -> Matrix:
    """Probabilities of both classes from those of the second, shape (rows,)."""
    probabilities = np.empty((len(second), 2))
    probabilities[:, 1] = second
    np.subtract(1.0, second, out=probabilities[:, 0])
    return probabilities


def softmax(scores: Matrix) -> Matrix:
    """Probabilities from scores, row by row."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def _logistic(estimator: Any, encoder: Encoder) -> Predict:  # noqa: ARG001
    from scipy.special import expit

    classes = classes_of(estimator)
    weights, intercept = np.ascontiguousarray(estimator.coef_.T), estimator.intercept_
    if len(classes) > 2:

        def predict(matrix: Matrix) -> Answers:
            scores = matrix @ weights + intercept
            return labelled(classes, scores.argmax(axis=1), softmax(scores))

        return predict

    column, constant = weights[:, 0].copy(), float(intercept[0])

    def predict_two(matrix: Matrix) -> Answers:
        scores = matrix @ column + constant
        return labelled(classes, (scores > 0).astype(np.intp), two_columns(expit(scores)))

    return predict_two


def _linear(estimator: Any, encoder: Encoder) -> Predict:  # noqa: ARG001
    weights, intercept = np.ravel(estimator.coef_).copy(), float(np.ravel(estimator.intercept_)[0])
    return lambda matrix: Answers((matrix @ weights + intercept).tolist())


def _boosting(estimator: Any, encoder: Encoder) -> Predict:
    from sklearn.ensemble._gradient_boosting import predict_stages

    if not (isinstance(estimator.init_, str) or type(estimator.init_).__name__.startswith("Dummy")):
        raise NotCompilable("it starts from an estimator of its own")
    # A constant: what it starts from knows nothing of the row.
    start = estimator._raw_predict_init(np.zeros((1, encoder.width), dtype=np.float32))
    trees, rate = estimator.estimators_, estimator.learning_rate

    def scores(matrix: Matrix) -> Matrix:
        raw = np.repeat(start, len(matrix), axis=0)
        predict_stages(trees, matrix, rate, raw)
        return raw

    if not hasattr(estimator, "classes_"):
        return lambda matrix: Answers(scores(matrix).ravel().tolist())
    classes, loss = classes_of(estimator), estimator._loss

    def predict(matrix: Matrix) -> Answers:
        raw = scores(matrix)
        index = raw.argmax(axis=1) if raw.shape[1] > 1 else (raw[:, 0] >= 0).astype(np.intp)
        return labelled(classes, index, loss.predict_proba(raw if raw.shape[1] > 1 else raw.ravel()))

    return predict


def _network(estimator: Any, encoder: Encoder) -> Predict:  # noqa: ARG001
    def scores(matrix: Matrix) -> Matrix:
        result: Matrix = estimator._forward_pass_fast(matrix, check_input=False)
        return result

    if not hasattr(estimator, "classes_"):
        return lambda matrix: Answers(scores(matrix).ravel().tolist())
    classes = classes_of(estimator)
    if len(classes) > 2:

        def predict(matrix: Matrix) -> Answers:
            given = scores(matrix)
            return labelled(classes, given.argmax(axis=1), given)

        return predict

    def predict_two(matrix: Matrix) -> Answers:
        second = scores(matrix)[:, 0]
        return labelled(classes, (second > 0.5).astype(np.intp), two_columns(second))

    return predict_two


def _histogram(estimator: Any, encoder: Encoder) -> Predict:
    return _of_scores(estimator, histogram_trees(estimator, encoder).scores)


def _histogram_by_numba(estimator: Any, encoder: Encoder) -> Predict:
    try:
        from evergreen.serving.kernel import kernel
    except Exception as error:
        # Whatever is wrong with it, such as a library that does not load: the model is served without.
        if isinstance(error, ModuleNotFoundError) and error.name == "numba":
            raise NotCompilable("its trees cost a third with numba: pip install 'evergreen[numba]'") from error
        raise NotCompilable(f"numba does not work here ({type(error).__name__}: {error})") from error
    trees = histogram_trees(estimator, encoder)
    if trees.masks is None:
        raise NotCompilable("its trees are too large for the faster way")
    return _of_scores(estimator, kernel(trees.masks, trees.order, trees.baseline, encoder.width).scores)


def _of_scores(estimator: Any, scores: Callable[[Matrix], Matrix]) -> Predict:
    """The answers of a boosted estimator whose raw scores are these, shape (rows, trees an iteration)."""
    loss = estimator._loss
    if not hasattr(estimator, "classes_"):
        return lambda matrix: Answers(loss.link.inverse(scores(matrix).ravel()).tolist())
    classes = classes_of(estimator)
    if len(classes) > 2:

        def predict(matrix: Matrix) -> Answers:
            probabilities = loss.predict_proba(scores(matrix))
            return labelled(classes, probabilities.argmax(axis=1), probabilities)

        return predict

    from scipy.special import expit

    def predict_two(matrix: Matrix) -> Answers:
        probabilities = two_columns(expit(scores(matrix)[:, 0]))
        return labelled(classes, probabilities.argmax(axis=1), probabilities)

    return predict_two


def _forest(estimator: Any, encoder: Encoder) -> Predict:
    grown = forest([tree.tree_ for tree in getattr(estimator, "estimators_", [estimator])], encoder.width)
    if not hasattr(estimator, "classes_"):
        return lambda matrix: Answers(grown.means(matrix)[:, 0].tolist())
    classes = classes_of(estimator)

    def predict(matrix: Matrix) -> Answers:
        probabilities = grown.means(matrix)[:, : len(classes)]
        return labelled(classes, probabilities.argmax(axis=1), probabilities)

    return predict


_BY_NUMBA: dict[str, Compiler] = dict.fromkeys(
    ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"), _histogram_by_numba
)
_COMPILERS: dict[str, Compiler] = {
    "LogisticRegression": _logistic,
    **dict.fromkeys(("LinearRegression", "Ridge", "ElasticNet"), _linear),
    **dict.fromkeys(("GradientBoostingClassifier", "GradientBoostingRegressor"), _boosting),
    **dict.fromkeys(("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"), _histogram),
    **dict.fromkeys(("RandomForestClassifier", "RandomForestRegressor"), _forest),
    **dict.fromkeys(("ExtraTreesClassifier", "ExtraTreesRegressor"), _forest),
    **dict.fromkeys(("DecisionTreeClassifier", "DecisionTreeRegressor"), _forest),
    **dict.fromkeys(("MLPClassifier", "MLPRegressor"), _network),
}
