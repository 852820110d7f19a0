"""A model of 15 numeric and 5 categorical columns, as MLflow and `evergreen serve` find it, and rows to ask about."""

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import joblib
import yaml

from evergreen.data.frame import canonical_frame
from evergreen.data.synthetic.wide import generate
from evergreen.features.pipeline import build_preprocessing, with_estimator
from evergreen.registry.artifact import digest_of, read_files
from evergreen.registry.model import log_model
from evergreen.registry.tracking import Tracking
from evergreen.serving.cache import MODEL, SPEC, Cache, CachedVersion, Lineup
from evergreen.spec.features import FeatureSpec
from evergreen.training.estimators import encoding_of, estimator_class

NAME = "bench"
NUMERIC = [f"n{i}" for i in range(15)]
CATEGORICAL = [f"c{i}" for i in range(5)]
TYPES = {**dict.fromkeys(NUMERIC, "number"), **dict.fromkeys(CATEGORICAL, "category")}
PARAMS = {
    "logistic_regression": {"max_iter": 200},
    "hist_gradient_boosting": {"max_iter": 150, "early_stopping": False},
}
ROWS = 20_000


@dataclass(frozen=True)
class Model:
    """A trained model: the folder that MLflow serves, and the pipeline as joblib keeps it."""

    folder: Path
    pipeline: Path
    fitted: Any


def prepare(home: Path, kind: str) -> Model:
    """Train a model of a kind and put it where each server finds it."""
    frame, labels = _table()
    features = FeatureSpec.model_validate({"numeric": NUMERIC, "categorical": CATEGORICAL})
    prepared = build_preprocessing(features, TYPES, encoding_of(kind), None).fit(frame)
    estimator = estimator_class(kind, None, "classification", "here")(**PARAMS[kind])
    mask = prepared["encode"].categorical_mask_
    if kind == "hist_gradient_boosting":
        estimator.set_params(categorical_features=mask.tolist())
    pipeline = with_estimator(prepared, estimator)
    pipeline[-1].fit(pipeline[:-1].transform(frame), labels)
    folder, file = _log(home, pipeline, frame.head(1000)), home / "pipeline.joblib"
    joblib.dump(pipeline, file)
    return Model(folder, file, pipeline)


def requests_of(rows: int, count: int) -> list[list[dict[str, Any]]]:
    """So many requests of so many rows each, as JSON has them."""
    frame = _table()[0].head(rows * count)
    records = json.loads(frame.to_json(orient="records", double_precision=15))
    return [records[i * rows : (i + 1) * rows] for i in range(count)]


def _table():
    (raw,) = generate(ROWS, 7, {"numeric": 15, "categorical": 5})
    return canonical_frame(raw, TYPES), raw["target"].astype(str).to_numpy(dtype=object)


def _log(home: Path, pipeline, example) -> Path:
    tracking = Tracking(f"sqlite:///{home / 'mlflow.db'}", str(home / "artifacts"))
    home.mkdir(parents=True, exist_ok=True)
    tracking.prepare()
    run = tracking.start_run(NAME, "bench", {})
    logged = log_model(tracking, run.run_id, pipeline, example, ["scikit-learn", "pandas", "cloudpickle"])
    tracking.finish(run.run_id)
    downloaded = tracking.download(logged.uri, home / "download") if _empty(home / "download") else None
    assert downloaded is not None
    digest = digest_of(read_files(downloaded))
    cache = Cache(home, NAME)
    cache.keep(digest, lambda folder: _fill(folder, downloaded))
    cache.note(Lineup(CachedVersion(1, digest, run.run_id), 0, datetime.now(UTC)))
    (home / "configs").mkdir(exist_ok=True)
    (home / "configs" / f"{NAME}.yaml").write_text(yaml.safe_dump(_spec()))
    return downloaded


def _empty(folder: Path) -> bool:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return True


def _fill(folder: Path, downloaded: Path) -> None:
    shutil.copytree(downloaded, folder / MODEL)
    (folder / SPEC).write_text(yaml.safe_dump(_spec()))


def _spec():
    return {
        "model": NAME,
        "task": "classification",
        "data": {"source": {"kind": "csv", "path": "bench.csv"}, "target": "target"},
        "features": {"numeric": NUMERIC, "categorical": CATEGORICAL},
        "training": {
            "split": {"kind": "random", "holdout": 0.2},
            "metric": "accuracy",
            "candidates": [{"kind": "logistic_regression"}],
        },
        "gates": {"absolute": {"accuracy": {"at_least": 0.5}}},
    }
