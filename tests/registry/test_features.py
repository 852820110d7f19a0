"""The transformers of a spec survive being saved, safely and with the same answers."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from evergreen.features.pipeline import build_preprocessing, with_estimator
from evergreen.registry.artifact import TOLERANCE, answer, difference
from evergreen.registry.model import load, log_model
from evergreen.spec.columns import ColumnType
from evergreen.spec.features import FeatureSpec

TYPES: dict[str, ColumnType] = {
    "price": "number",
    "quantity": "integer",
    "plan": "category",
    "seen": "datetime",
    "at": "datetime",
}
DERIVED = [
    {"name": "total", "kind": "product", "of": ["price", "quantity"]},
    {"name": "unit", "kind": "ratio", "of": ["price", "quantity"]},
    {"name": "days", "kind": "days_since", "of": "seen"},
    {"name": "weekday", "kind": "weekday", "of": "at"},
    {"name": "season", "kind": "season", "of": "at"},
    {"name": "bin", "kind": "bins", "of": "price", "quantiles": 4},
    {"name": "log_price", "kind": "log", "of": "price"},
    {"name": "common", "kind": "frequency", "of": "plan"},
]
FEATURES = FeatureSpec(
    derive=DERIVED, numeric=["price", "quantity", *(item["name"] for item in DERIVED)], categorical=["plan"]
)


@pytest.mark.parametrize(
    ("encoding", "estimator"),
    [("scaled", LogisticRegression()), ("native", HistGradientBoostingClassifier(max_iter=5))],
)
def test_every_kind_of_feature_is_saved_safely_and_answers_the_same(
    tracking, customers, labels, requirements, encoding, estimator
):
    frame = customers.assign(at=pd.Timestamp("2026-04-01").as_unit("us")).drop(columns="note")
    preprocessing = build_preprocessing(FEATURES, TYPES, encoding, "at")
    matrix = preprocessing.fit_transform(frame, labels).astype(np.float64)
    pipeline = with_estimator(preprocessing, estimator.fit(matrix, labels))
    run = tracking.start_run("churn", "a", {})
    logged = log_model(tracking, run.run_id, pipeline, frame, requirements)
    assert logged.serialization == "skops"
    restored = load(tracking, logged.uri, logged.digest)
    assert difference(answer(pipeline, frame), answer(restored, frame)) <= TOLERANCE
