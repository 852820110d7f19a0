"""The whole pipeline: raw rows in, predictions out, whatever stands beside a row."""

import math
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import RobustScaler, StandardScaler

from evergreen.data.parse import TextRules
from evergreen.errors import DataError
from evergreen.features.encode import EncodeColumns
from evergreen.features.pipeline import build_preprocessing, with_estimator
from evergreen.spec.features import CategoricalPreprocessing, FeatureSpec

NAN = math.nan
TYPES = {
    "price": "number",
    "units": "integer",
    "gift": "boolean",
    "plan": "category",
    "at": "datetime",
    "last": "datetime",
}
FEATURES = FeatureSpec.model_validate(
    {
        "derive": [
            {"name": "spend", "kind": "product", "of": ["price", "units"]},
            {"name": "days", "kind": "days_since", "of": "last"},
            {"name": "share", "kind": "frequency", "of": "plan"},
            {"name": "bin", "kind": "bins", "of": "price", "quantiles": 4},
            {"name": "weekday", "kind": "weekday", "of": "at"},
        ],
        "numeric": ["price", "units", "spend", "days", "share", "bin"],
        "categorical": ["plan", "gift", "weekday"],
    }
)

# Columns and how many categories each has.
LEVELS = {"a": 5, "b": 10, "c": 30, "d": 40}


def rows(n=200, seed=0):
    draw = np.random.default_rng(seed)
    at = pd.Timestamp("2026-01-01") + pd.to_timedelta(draw.integers(0, 90 * 24, n), unit="h")
    frame = pd.DataFrame(
        {
            "price": draw.gamma(2, 10, n),
            "units": draw.integers(1, 9, n).astype(float),
            "gift": draw.integers(0, 2, n).astype(float),
            "plan": pd.Categorical(draw.choice(["basic", "plus", "pro"], n)),
            "at": at.astype("datetime64[us]"),
            "last": (at - pd.to_timedelta(draw.integers(0, 30, n), unit="D")).astype("datetime64[us]"),
        }
    )
    for name in ("price", "units", "plan", "last"):
        frame.loc[draw.random(n) < 0.1, name] = None
    return frame


def labels(frame):
    return np.where(frame["price"].fillna(0).to_numpy() > 15, "yes", "no")


def preprocessing(encoding, features=FEATURES):
    return build_preprocessing(features, TYPES, encoding, "at")


def trained(encoding, estimator):
    fitted = preprocessing(encoding).fit(rows())
    X = fitted.transform(rows())
    return with_estimator(fitted, estimator.fit(X, labels(rows())))


ESTIMATORS = [
    ("scaled", LogisticRegression()),
    ("scaled", MLPClassifier((10, 8), max_iter=20, random_state=0)),
    ("native", HistGradientBoostingClassifier(max_iter=10)),
    ("native", RandomForestClassifier(10, random_state=0)),
    ("imputed", LogisticRegression(max_iter=5000)),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("encoding", "estimator"), ESTIMATORS[:4])
def test_the_answer_for_a_row_does_not_depend_on_its_batch(encoding, estimator):
    pipeline, later = trained(encoding, estimator), rows(60, seed=1)
    together = pipeline.predict_proba(later)
    alone = np.vstack([pipeline.predict_proba(later.iloc[[position]]) for position in range(len(later))])
    assert np.abs(together - alone).max() < 1e-12


def test_a_raw_row_means_what_it_meant_in_the_source_of_the_training_rows():
    written = TextRules(decimal=",", nulls=("", "."), day_first=True)
    fitted = build_preprocessing(FEATURES, TYPES, "native", "at", written).fit(rows())
    plain = {"price": 1234.5, "units": None, "gift": True, "plan": None, "at": "2026-02-01", "last": "2026-01-31"}
    raw = {"price": "1.234,5", "units": ".", "gift": "ja", "plan": ".", "at": "01/02/2026", "last": "31/01/2026"}
    answers = fitted.transform(pd.DataFrame([plain, raw | {"gift": "yes"}]))
    np.testing.assert_array_equal(answers[0], answers[1])


def test_neighbours_of_a_row_do_not_depend_on_its_batch():
    fitted = preprocessing("scaled").fit(rows())
    X = fitted.transform(rows()).astype(np.float64)
    pipeline = with_estimator(fitted, KNeighborsClassifier(weights="distance").fit(X, labels(rows())))
    later = rows(60, seed=1)
    alone = np.vstack([pipeline.predict_proba(later.iloc[[position]]) for position in range(len(later))])
    assert np.abs(pipeline.predict_proba(later) - alone).max() < 1e-12


@pytest.mark.parametrize("encoding", ["scaled", "imputed", "native"])
@pytest.mark.parametrize(
    "row",
    [
        {"price": 3, "units": 2, "gift": True, "plan": None, "at": "2026-01-05T10:00:00Z", "last": None},
        {"price": None, "units": None, "gift": None, "plan": None, "at": None, "last": None},
        {"price": "3.5", "units": "2", "gift": "yes", "plan": "gold", "at": "2026-01-05", "last": "2026-01-01"},
        {"price": math.inf, "units": 1e300, "gift": 0, "plan": "pro", "at": pd.NaT, "last": NAN},
    ],
)
def test_a_lone_request_is_encoded_like_rows_of_a_table(encoding, row):
    fitted = preprocessing(encoding).fit(rows())
    alone = fitted.transform(pd.DataFrame([row]))
    beside = fitted.transform(pd.concat([pd.DataFrame([row]), rows(5).astype(object)], ignore_index=True))
    assert alone.dtype == np.float32
    assert not np.isinf(alone).any()
    np.testing.assert_array_equal(alone[0], beside[0])
    if encoding != "native":
        assert not np.isnan(alone).any()


@pytest.mark.filterwarnings("error")
def test_a_number_that_scaling_takes_beyond_float32_is_the_largest_there_is():
    table = pd.DataFrame({"price": [0.0, 0.001] * 50})
    fitted = EncodeColumns(["price"], []).fit(table)
    huge = fitted.transform(pd.DataFrame({"price": [3.4e38, -3.4e38, 3.5e38, 1e30]}))[:, 0]
    most = np.finfo(np.float32).max
    np.testing.assert_array_equal(huge[:2], [most, -most])
    assert huge[2] == fitted.transform(pd.DataFrame({"price": [None]}))[0, 0]
    assert huge[3] == np.float32(2e33)


@pytest.mark.parametrize("encoding", ["scaled", "imputed", "native"])
def test_feature_names_name_the_columns_of_the_matrix_in_a_stable_order(encoding):
    fitted = preprocessing(encoding).fit(rows())
    names = fitted.get_feature_names_out().tolist()
    assert len(names) == fitted.transform(rows(3)).shape[1] == len(set(names))
    assert names[:6] == ["price", "units", "spend", "days", "share", "bin"]
    assert names == preprocessing(encoding).fit(rows().sample(frac=1, random_state=1)).get_feature_names_out().tolist()


@pytest.mark.parametrize("impute", ["mean", "median", "zero"])
@pytest.mark.parametrize(
    ("scale", "scaler"), [("standard", StandardScaler()), ("robust", RobustScaler()), ("none", None)]
)
def test_imputed_and_scaled_numbers_are_those_of_scikit_learn(impute, scale, scaler):
    features = FeatureSpec.model_validate(
        {"numeric": ["price", "units"], "numeric_preprocessing": {"impute": impute, "scale": scale}}
    )
    imputer = SimpleImputer(strategy="constant", fill_value=0) if impute == "zero" else SimpleImputer(strategy=impute)
    imputed = imputer.fit_transform(rows()[["price", "units"]].to_numpy())
    scaled = imputed if scaler is None else scaler.fit_transform(imputed)
    assert np.abs(preprocessing("imputed", features).fit_transform(rows()) - imputed).max() < 1e-5
    assert np.abs(preprocessing("scaled", features).fit_transform(rows()) - scaled).max() < 1e-5


@pytest.mark.parametrize("impute", ["mean", "median", "zero"])
@pytest.mark.parametrize("scale", ["standard", "robust", "none"])
@pytest.mark.parametrize("encoding", ["scaled", "imputed", "native"])
def test_a_column_that_training_never_saw_a_value_of_says_nothing(impute, scale, encoding):
    features = FeatureSpec.model_validate(
        {
            "numeric": ["price", "units"],
            "categorical": ["plan"],
            "numeric_preprocessing": {"impute": impute, "scale": scale},
        }
    )
    empty = rows().assign(price=NAN, plan=pd.Categorical([None] * 200))
    fitted = preprocessing(encoding, features).fit(empty)
    encoded = fitted.transform(rows())
    assert len(np.unique(encoded[:, 0])) <= (1 if encoding == "native" else 200)
    assert not np.isnan(np.delete(encoded, 1, axis=1)).any()
    if encoding == "native":
        estimator = HistGradientBoostingClassifier(categorical_features=fitted["encode"].categorical_mask_)
        estimator.fit(fitted.transform(empty), labels(rows()))


def test_histogram_trees_read_a_column_that_is_nearly_empty_in_a_large_table():
    many = pd.DataFrame({"price": np.full(12_000, NAN), "units": np.arange(12_000) % 7.0})
    many.loc[0, "price"] = 1.0
    fitted = preprocessing("native", FeatureSpec(numeric=("price", "units"))).fit(many)
    X = fitted.transform(many)
    HistGradientBoostingClassifier(max_iter=2, random_state=1).fit(X, X[:, 1] > 3)
    assert (X[:, 0] == 0).all()


def test_native_codes_carry_a_mask_for_histogram_trees():
    fitted = preprocessing("native").fit(rows())
    assert fitted["encode"].categorical_mask_.tolist() == [False] * 6 + [True] * 3
    assert not preprocessing("scaled").fit(rows())["encode"].categorical_mask_.any()


def test_a_fitted_pipeline_survives_pickling_and_leaves_its_input_alone():
    pipeline, later = trained("scaled", LogisticRegression()), rows(20, seed=2)
    before = later.copy()
    again = pickle.loads(pickle.dumps(pipeline))
    assert (again.predict_proba(later) == pipeline.predict_proba(later)).all()
    pd.testing.assert_frame_equal(later, before)
    assert set(pipeline.predict(later)) <= {"yes", "no"}


def test_a_missing_column_is_named_and_other_columns_are_ignored():
    pipeline = trained("scaled", LogisticRegression())
    assert len(pipeline.predict(rows(3).assign(note="?"))) == 3
    with pytest.raises(DataError, match="'price'"):
        pipeline.predict(rows(3).drop(columns="price"))


def test_a_model_without_numbers_or_without_categories_works():
    for features in (FeatureSpec(categorical=("plan",)), FeatureSpec(numeric=("price",))):
        for encoding in ("scaled", "imputed", "native"):
            assert preprocessing(encoding, features).fit_transform(rows()).shape[0] == 200


@pytest.mark.parametrize("encoding", ["scaled", "imputed"])
def test_indicators_that_would_fill_the_memory_are_refused_before_they_are_made(encoding, monkeypatch):
    frame = pd.DataFrame({name: [f"{name}{n % levels}" for n in range(60)] for name, levels in LEVELS.items()})
    features = FeatureSpec(categorical=tuple(LEVELS))
    types = dict.fromkeys(LEVELS, "category")
    monkeypatch.setattr("evergreen.features.encode.MOST_BYTES", 60 * 85 * 4 - 1)
    message = r"85 categories.*times 60 rows.*most have d \(40\), c \(30\), b \(10\): .*min_frequency.*hist_gradient"
    with pytest.raises(DataError, match=message):
        build_preprocessing(features, types, encoding, None).fit(frame)
    build_preprocessing(features, types, "native", None).fit(frame)
    together = features.model_copy(update={"categorical_preprocessing": CategoricalPreprocessing(min_frequency=0.1)})
    build_preprocessing(together, types, encoding, None).fit(frame)
    monkeypatch.setattr("evergreen.features.encode.MOST_BYTES", 60 * 85 * 4)
    assert build_preprocessing(features, types, encoding, None).fit_transform(frame).shape == (60, 85)
