"""Small fitted pipelines of every kind, and rows to ask them about."""

from functools import cache

import numpy as np
import pandas as pd

from evergreen.data.frame import canonical_frame
from evergreen.features.pipeline import build_preprocessing, with_estimator
from evergreen.serving.handles import Column
from evergreen.serving.values import null_of
from evergreen.spec.features import FeatureSpec
from evergreen.training.estimators import encoding_of, estimator_class

TYPES = {
    "price": "number",
    "unit count": "integer",
    "gift": "boolean",
    "plan": "category",
    "größe": "category",
    "class": "text",
    "at": "datetime",
    "last": "datetime",
}
COLUMNS = tuple(Column(name, kind) for name, kind in TYPES.items())

DERIVED = {
    "spend": {"kind": "product", "of": ["price", "unit count"]},
    "total": {"kind": "sum", "of": ["price", "unit count", "gift"]},
    "less": {"kind": "difference", "of": ["price", "unit count"]},
    "each": {"kind": "ratio", "of": ["price", "unit count"]},
    "days": {"kind": "days_since", "of": "last"},
    "between": {"kind": "days_since", "of": "last", "until": "at"},
    "hour": {"kind": "hour", "of": "at"},
    "weekday": {"kind": "weekday", "of": "last"},
    "month": {"kind": "month", "of": "at"},
    "season": {"kind": "season", "of": "at"},
    "bin": {"kind": "bins", "of": "price", "quantiles": 5},
    "edge": {"kind": "bins", "of": "unit count", "edges": [2, 4, 4, 6]},
    "log": {"kind": "log", "of": "price"},
    "share": {"kind": "frequency", "of": "plan"},
    "often": {"kind": "frequency", "of": "unit count"},
    "log of each": {"kind": "log", "of": "each"},
}
CATEGORIES = ("plan", "größe", "class", "gift", "unit count", "weekday", "bin", "price", "each")
SMALL = {
    "logistic_regression": {"max_iter": 50},
    "gradient_boosting": {"n_estimators": 6},
    "hist_gradient_boosting": {"max_iter": 12, "min_samples_leaf": 5},
    "random_forest": {"n_estimators": 7},
    "extra_trees": {"n_estimators": 7},
    "neural_network": {"hidden_layer_sizes": (5, 4), "max_iter": 3},
}


@cache
def frame(rows=160, seed=0):
    """Canonical rows with nulls everywhere."""
    draw = np.random.default_rng(seed)
    at = pd.Timestamp("2025-11-01") + pd.to_timedelta(draw.integers(0, 300 * 24, rows), unit="h")
    raw = pd.DataFrame(
        {
            "price": draw.gamma(2, 10, rows).round(draw.integers(0, 3)),
            "unit count": draw.integers(0, 9, rows).astype(float),
            "gift": draw.integers(0, 2, rows).astype(float),
            "plan": draw.choice(["basic", "plus", "pro", "rare"], rows, p=[0.5, 0.3, 0.18, 0.02]),
            "größe": draw.choice(["1", "2", "drei"], rows),
            "class": draw.choice(["def", "lambda x", "ü"], rows),
            "at": at.astype("datetime64[us]"),
            "last": (at - pd.to_timedelta(draw.integers(0, 90_000, rows), unit="min")).astype("datetime64[us]"),
        }
    )
    for name in raw.columns:
        raw.loc[draw.random(rows) < 0.08, name] = None
    return canonical_frame(raw, TYPES)


def target(table, task, classes=3):
    """Something that the rows say."""
    score = table["price"].fillna(5) + 3 * (table["plan"] == "pro") + table["unit count"].fillna(0)
    if task == "regression":
        return score.to_numpy() * 1.5
    return np.array(["no", "perhaps", "yes"], dtype=object)[pd.qcut(score, classes, labels=False).to_numpy()]


def features(seed):
    """Some of the derived columns, some categories, one way of preparing them: drawn by the seed."""
    draw = np.random.default_rng(seed)
    derived = [name for name in DERIVED if draw.random() < 0.5 or name in ("each", "weekday", "bin")]
    numeric = [name for name in ("price", "unit count", "gift", *derived) if draw.random() < 0.7]
    categorical = [name for name in CATEGORIES if draw.random() < 0.5]
    return FeatureSpec.model_validate(
        {
            "derive": [{"name": name, **DERIVED[name]} for name in derived],
            "numeric": numeric or ["price"],
            "categorical": [name for name in categorical if name not in numeric],
            "numeric_preprocessing": {
                "impute": str(draw.choice(["mean", "median", "zero"])),
                "scale": str(draw.choice(["standard", "robust", "none"])),
            },
            "categorical_preprocessing": {
                "impute": str(draw.choice(["most_frequent", "missing"])),
                "encode": str(draw.choice(["one_hot", "ordinal"])),
                "min_frequency": 0.05 if draw.random() < 0.5 else None,
            },
        }
    )


def fitted(kind, task, spec, classes=3, **params):
    """A pipeline of a kind, fitted as training fits it."""
    table = frame()
    prepared = build_preprocessing(spec, TYPES, encoding_of(kind), "at").fit(table)
    estimator = estimator_class(kind, None, task, "here")(**SMALL.get(kind, {}) | params)
    mask = prepared["encode"].categorical_mask_
    if kind == "hist_gradient_boosting" and mask.any():
        estimator.set_params(categorical_features=mask.tolist())
    pipeline = with_estimator(prepared, estimator)
    pipeline[-1].fit(pipeline[:-1].transform(table), target(table, task, classes))
    return pipeline


def columns_read(pipeline):
    return tuple(Column(name, kind) for name, kind in pipeline["read"].types.items())


def rows(columns, count=40, seed=0):
    """Valid rows: as in training, and nulls, extremes and categories that it never saw."""
    draw = np.random.default_rng(seed)
    return [tuple(_value(column, draw) for column in columns) for _ in range(count)]


def _value(column, draw):
    if draw.random() < 0.12:
        return null_of(column)
    if column.type == "boolean":
        return float(draw.integers(0, 2))
    if column.type == "integer":
        return float(draw.choice([*range(9), -7, 123_456, 2**52]))
    if column.type == "number":
        return float(
            draw.choice([draw.gamma(2, 10), draw.integers(0, 30), -3.5, 0.0, 1e-9, 3.4e38, -3e38, 1e39, -1e300])
        )
    if column.type == "datetime":
        return int(draw.choice([draw.integers(-(10**15), 2 * 10**15), 0, -1, 253_402_300_799_999_999]))
    return str(draw.choice(["basic", "plus", "pro", "rare", "1", "2", "drei", "def", "lambda x", "ü", "new 🙂", "nan"]))
