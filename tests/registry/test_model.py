import os
import pickle
from functools import partial
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import skops.io
import yaml
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.linear_model import ElasticNet, LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier

from evergreen.errors import IntegrityError
from evergreen.registry.artifact import TOLERANCE, Answers, answer, difference, digest_of, load_skops, read_files
from evergreen.registry.model import load, log_model
from evergreen.registry.trust import is_trusted

CLASSIFIERS = [
    LogisticRegression(),
    GradientBoostingClassifier(n_estimators=5),
    HistGradientBoostingClassifier(max_iter=5),
    RandomForestClassifier(5),
    ExtraTreesClassifier(5),
    DecisionTreeClassifier(),
    KNeighborsClassifier(),
    KNeighborsClassifier(algorithm="ball_tree", metric="manhattan"),
    MLPClassifier((10, 8), solver="sgd", learning_rate_init=0.01, max_iter=3, early_stopping=True),
    MLPClassifier((4,), max_iter=3),
    DummyClassifier(),
]
REGRESSORS = [LinearRegression(), Ridge(), ElasticNet(), HistGradientBoostingRegressor(max_iter=5, loss="poisson")]


def shout(frame: pd.DataFrame) -> pd.DataFrame:
    """A step that is not of Evergreen: importable here, and trusted by nobody."""
    return frame


@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=lambda e: f"{type(e).__name__}-{len(repr(e))}")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_every_kind_of_classifier_is_saved_safely_and_answers_the_same(
    tracking, customers, labels, encoding, requirements, estimator
):
    pipeline = make_pipeline(encoding, estimator).fit(customers, labels)
    check_round_trip(tracking, pipeline, customers, requirements)


@pytest.mark.parametrize("estimator", REGRESSORS, ids=lambda e: type(e).__name__)
def test_every_kind_of_regressor_is_saved_safely_and_answers_the_same(
    tracking, customers, encoding, requirements, estimator
):
    pipeline = make_pipeline(encoding, estimator).fit(customers, customers["quantity"] * 1e6)
    check_round_trip(tracking, pipeline, customers, requirements)


def check_round_trip(tracking, pipeline, customers, requirements):
    run = tracking.start_run("churn", "a", {})
    logged = log_model(tracking, run.run_id, pipeline, customers, requirements)
    assert logged.serialization == "skops"
    restored = load(tracking, logged.uri, logged.digest)
    assert difference(answer(pipeline, customers), answer(restored, customers)) <= TOLERANCE


def test_the_artifact_describes_itself(tracking, logged, tmp_path, requirements):
    run_id, model = logged
    folder = tracking.download(model.uri, tmp_path / "copy")
    about = yaml.safe_load((folder / "MLmodel").read_text())
    signature = {column["name"]: column["type"] for column in yaml.safe_load(about["signature"]["inputs"])}
    assert signature == {
        "price": "double",
        "quantity": "double",
        "plan": "string",
        "seen": "datetime",
        "note": "string",
    }
    assert about["run_id"] == run_id
    assert about["saved_input_example_info"]
    assert set((folder / "requirements.txt").read_text().splitlines()) == {
        f"mlflow=={mlflow.__version__}",
        *requirements,
    }
    assert model.digest == digest_of(read_files(folder))
    assert model.size_mb * 1e6 == sum(map(len, read_files(folder).values()))
    assert tracking.client.get_run(run_id).outputs.model_outputs[0].model_id == model.uri.removeprefix("models:/")


def test_mlflow_itself_can_serve_what_was_logged(tracking, logged, tmp_path, pipeline, customers):
    import mlflow.pyfunc

    folder = tracking.download(logged[1].uri, tmp_path / "copy")
    sent = customers.head(5).astype({"plan": object})
    served = mlflow.pyfunc.load_model(str(folder)).predict(sent)
    assert list(served) == list(pipeline.predict(customers.head(5)))


@pytest.mark.parametrize("name", ["model.skops", "MLmodel", "requests.parquet", "expected.json", "extra.py"])
def test_a_tampered_artifact_is_refused(tracking, logged, tmp_path, name):
    (mlmodel,) = (tmp_path / "artifacts").rglob("MLmodel")
    with (mlmodel.parent / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(IntegrityError, match="it is not loaded"):
        load(tracking, logged[1].uri, logged[1].digest)


def test_the_file_that_mlflow_adds_to_a_download_is_no_tampering(tracking, logged, tmp_path):
    (mlmodel,) = (tmp_path / "artifacts").rglob("MLmodel")
    (mlmodel.parent / "registered_model_meta").write_text("model_name: churn")
    load(tracking, logged[1].uri, logged[1].digest)


def test_a_step_that_is_not_ours_is_saved_with_cloudpickle(tracking, customers, labels, encoding, requirements):
    pipeline = make_pipeline(FunctionTransformer(shout), encoding, LogisticRegression()).fit(customers, labels)
    run = tracking.start_run("churn", "a", {})
    logged = log_model(tracking, run.run_id, pipeline, customers, requirements)
    assert logged.serialization == "cloudpickle"
    assert tracking.tags(run.run_id)["evergreen.model_digest"] == logged.digest
    restored = load(tracking, logged.uri, logged.digest)
    assert difference(answer(pipeline, customers), answer(restored, customers)) == 0


def test_what_skops_would_run_is_ours_to_allow():
    with pytest.raises(IntegrityError, match="not trusted"):
        load_skops(skops.io.dumps(FunctionTransformer(Path.unlink)))


def test_a_partial_is_trusted_only_with_what_it_calls():
    with pytest.raises(IntegrityError, match=r"posix.system"):
        load_skops(skops.io.dumps(FunctionTransformer(partial(os.system, "true"))))


@pytest.mark.parametrize(
    ("name", "trusted"),
    [
        ("numpy.dtype", True),
        ("sklearn.tree._tree.Tree", True),
        ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor", True),
        ("sklearn.ensemble._hist_gradient_boosting.predictor.np", False),
        ("sklearn.ensemble._hist_gradient_boosting.nowhere.Tree", False),
        ("sklearn.calibration.Parallel", False),
        ("sklearn.datasets.load_files", False),
        ("numpy.load", False),
        ("numpy.f2py.compile", False),
        ("builtins.eval", False),
        ("posix.system", False),
        ("evergreen.registry.model.load", False),
        ("tests.registry.test_model.shout", False),
    ],
)
def test_trust_is_by_name(name, trusted):
    assert is_trusted(name) is trusted


def test_a_digest_is_of_names_and_bytes(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"1")
    before = digest_of(read_files(tmp_path))
    (tmp_path / "a" / "b").rename(tmp_path / "a" / "c")
    assert digest_of(read_files(tmp_path)) != before
    assert set(read_files(tmp_path)) == {"a/c"}


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        (Answers(("a", "b")), Answers(("a", "b")), True),
        (Answers(("a", "b")), Answers(("a", "c")), False),
        (Answers(("a", "b")), Answers(("a",)), False),
        (Answers((1.0,)), Answers((1.0 + 1e-12,)), True),
        (Answers((1.0,)), Answers((1.0 + 1e-6,)), False),
        (Answers((1.0,)), Answers((float("nan"),)), False),
        (Answers((float("nan"),)), Answers((float("nan"),)), False),
        (Answers(("a",), ((0.2, 0.8),)), Answers(("a",), ((0.2, 0.8),)), True),
        (Answers(("a",), ((0.2, 0.8),)), Answers(("a",), ((0.3, 0.7),)), False),
        (Answers(("a",), ((0.2, 0.8),)), Answers(("a",)), False),
        (Answers(("a",)), Answers(("a",), ((0.2, 0.8),)), False),
    ],
)
def test_answers_are_the_same_or_not(expected, actual, same):
    assert (difference(expected, actual) <= TOLERANCE) is same


def test_a_model_that_says_nothing_about_its_columns_is_not_logged(tracking, requirements):
    rows = pd.DataFrame({"a": [1, "b", None]})
    pipeline = make_pipeline(DummyClassifier()).fit(rows, ["x", "y", "x"])
    run = tracking.start_run("churn", "a", {})
    with pytest.raises(ValueError, match="no signature"):
        log_model(tracking, run.run_id, pipeline, rows, requirements)
    assert "evergreen.model_uri" not in tracking.tags(run.run_id)


def test_pickled_code_does_not_run_before_the_digest_is_checked(tracking, logged, tmp_path):
    marker = tmp_path / "ran"
    (mlmodel,) = (tmp_path / "artifacts").rglob("MLmodel")
    about = yaml.safe_load(mlmodel.read_text())
    about["flavors"]["sklearn"].update(serialization_format="cloudpickle", pickled_model="model.pkl")
    mlmodel.write_text(yaml.safe_dump(about))
    (mlmodel.parent / "model.pkl").write_bytes(pickle.dumps(Touch(marker)))
    with pytest.raises(IntegrityError):
        load(tracking, logged[1].uri, logged[1].digest)
    assert not marker.exists()
    with pytest.raises((IntegrityError, AttributeError, TypeError)):
        load(tracking, logged[1].uri, digest_of(read_files(mlmodel.parent))).predict(np.zeros(1))
    assert marker.exists(), "the planted file would have done its work"


class Touch:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)
