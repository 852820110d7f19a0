"""MLflow on SQLite. Its database is migrated once and copied for every test."""

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from evergreen.registry.handles import LoggedModel
from evergreen.registry.model import log_model
from evergreen.registry.tracking import Tracking
from evergreen.registry.versions import Registry

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")

REQUIREMENTS = ("scikit-learn==1.9.1", "pandas==3.0.6")


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mlflow")
    Tracking(f"sqlite:///{folder / 'mlflow.db'}", str(folder / "artifacts")).prepare()
    return folder / "mlflow.db"


@pytest.fixture
def tracking(migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tracking:
    # Nothing may depend on the working directory, or on where MLflow would look of its own accord.
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    shutil.copy(migrated, tmp_path / "mlflow.db")
    return Tracking(f"sqlite:///{tmp_path / 'mlflow.db'}", str(tmp_path / "artifacts"))


@pytest.fixture
def registry(tracking: Tracking) -> Registry:
    return Registry(tracking)


@pytest.fixture(scope="session")
def customers() -> pd.DataFrame:
    """Rows as a pipeline gets them: numbers with gaps, categories with gaps, moments, text."""
    draw = np.random.default_rng(7)
    price = draw.normal(50, 10, 300)
    price[::17] = np.nan
    plan = pd.Series(draw.choice(["basic", "plus", "pro"], 300)).where(draw.random(300) > 0.05)
    seen = pd.Timestamp("2026-01-01") + pd.to_timedelta(draw.integers(0, 90, 300), unit="D")
    return pd.DataFrame(
        {
            "price": price,
            "quantity": draw.integers(1, 9, 300).astype(float),
            "plan": plan.astype("category"),
            "seen": pd.Series(seen).astype("datetime64[us]"),
            "note": pd.Series(["x"] * 300, dtype="str"),
        }
    )


def encoder() -> ColumnTransformer:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    plans = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    return ColumnTransformer([("numbers", numbers, ["price", "quantity"]), ("plans", plans, ["plan"])])


@pytest.fixture(scope="session")
def labels(customers: pd.DataFrame) -> np.ndarray:
    return np.where(customers["quantity"] > 4, "stays", "leaves").astype(object)


@pytest.fixture(scope="session")
def pipeline(customers: pd.DataFrame, labels: np.ndarray) -> Pipeline:
    return make_pipeline(encoder(), LogisticRegression()).fit(customers, labels)


@pytest.fixture
def logged(tracking: Tracking, pipeline: Pipeline, customers: pd.DataFrame) -> tuple[str, LoggedModel]:
    """A finished run and the model it logged."""
    run = tracking.start_run("churn", "first", {"evergreen.training_key": "k1"})
    model = log_model(tracking, run.run_id, pipeline, customers, REQUIREMENTS)
    tracking.finish(run.run_id)
    return run.run_id, model


@pytest.fixture(scope="session")
def requirements() -> tuple[str, ...]:
    return REQUIREMENTS


@pytest.fixture
def encoding() -> ColumnTransformer:
    return encoder()
