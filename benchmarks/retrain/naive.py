"""Retraining as tutorials write it: the whole file as CSV, whole pipelines in a grid search, everything logged.

python naive.py <place> <before|now> <stages.json>
"""

# ruff: noqa: E402 - the clock starts before the imports, which are part of what a run costs

import sys
from pathlib import Path

from stages import Recorder

record = Recorder(Path(sys.argv[3]))

import joblib
import mlflow
import mlflow.sklearn
import numpy as np
import pandas as pd
import pandera.pandas as pa
from mlflow.models import infer_signature
from pictures import draw, draw_importance, latency_p95_ms, score
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from workload import (
    BEFORE,
    CATEGORICAL,
    CATEGORIES,
    CLASSES,
    FOLDS,
    HIGH,
    HOLDOUT_DAYS,
    INPUTS,
    LINEAR_GRID,
    LOW,
    METRIC,
    MODEL,
    NOW,
    NULL_SHARE,
    NUMERIC,
    REQUESTS,
    SEED,
    TARGET,
    TIME,
    TREES,
    Place,
    resamples,
    tree_grid,
)


def load(place, as_of):
    df = pd.read_csv(place.csv, parse_dates=[TIME])
    df = df[df[TIME] <= as_of]
    return df.sort_values(TIME).reset_index(drop=True)


def validate(df):
    few_nulls = pa.Check(lambda s: s.isna().mean() <= NULL_SHARE)
    numbers = {n: pa.Column(float, [pa.Check.in_range(LOW, HIGH), few_nulls], nullable=True) for n in NUMERIC}
    labels = {c: pa.Column(str, pa.Check.isin(CATEGORIES), nullable=True) for c in CATEGORICAL}
    schema = pa.DataFrameSchema(
        {**numbers, **labels, TARGET: pa.Column(str, pa.Check.isin(CLASSES)), TIME: pa.Column("datetime64[us]")}
    )
    schema.validate(df, lazy=True)
    assert len(df) >= 1000
    assert df.duplicated().mean() < 0.05
    assert df[TARGET].value_counts(normalize=True).min() >= 0.05


def check_drift(reference, current, champion, folder):
    from evidently import Report
    from evidently.presets import DataDriftPreset

    before, after = (
        frame[[*INPUTS, TARGET]].assign(prediction=champion.predict_proba(frame[INPUTS])[:, 1])
        for frame in (reference, current)
    )
    report = Report([DataDriftPreset()]).run(after, before)
    report.save_html(str(folder / "drift.html"))
    mlflow.log_artifact(str(folder / "drift.html"))


def build(estimator):
    numeric = Pipeline([("impute", SimpleImputer(strategy="median")), ("scale", StandardScaler())])
    categorical = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return Pipeline(
        [
            ("prepare", ColumnTransformer([("num", numeric, NUMERIC), ("cat", categorical, CATEGORICAL)])),
            ("model", estimator),
        ]
    )


def search(place, train):
    trees = HistGradientBoostingClassifier(random_state=SEED, **TREES)
    linear = LogisticRegression(max_iter=1000)
    grid = [{"model": [linear], **{f"model__{k}": [v] for k, v in point.items()}} for point in LINEAR_GRID] + [
        {"model": [trees], **{f"model__{k}": [v] for k, v in point.items()}} for point in tree_grid(place.rows)
    ]
    found = GridSearchCV(build(trees), grid, scoring=METRIC, cv=TimeSeriesSplit(FOLDS), n_jobs=-1, refit=False)
    found.fit(train[INPUTS], train[TARGET])
    return found


def log_trials(found):
    for position, params in enumerate(found.cv_results_["params"]):
        with mlflow.start_run(nested=True, run_name=f"trial {position}"):
            mlflow.log_params({k: str(v) for k, v in params.items()})
            for fold in range(FOLDS):
                mlflow.log_metric("fold", found.cv_results_[f"split{fold}_test_score"][position], step=fold)
            mlflow.log_metric("mean", found.cv_results_["mean_test_score"][position])


def bootstrap(y, challenger, champion):
    rng = np.random.default_rng(SEED)
    differences = []
    for _ in range(resamples(len(y))):
        rows = rng.integers(0, len(y), len(y))
        differences.append(roc_auc_score(y[rows], challenger[rows]) - roc_auc_score(y[rows], champion[rows]))
    return np.array(differences)


def main():  # noqa: PLR0915 - a script, from top to bottom
    place = Place(Path(sys.argv[1]))
    as_of = {"before": BEFORE, "now": NOW}[sys.argv[2]]
    home = place.home("naive")
    home.mkdir(parents=True, exist_ok=True)
    mlflow.set_tracking_uri(f"sqlite:///{home / 'mlflow.db'}")
    if mlflow.get_experiment_by_name(MODEL) is None:
        mlflow.create_experiment(MODEL, artifact_location=str(home / "artifacts"))
    mlflow.set_experiment(MODEL)
    client = mlflow.MlflowClient()
    record.mark("start")
    with mlflow.start_run() as run:
        with record("load"):
            df = load(place, as_of)
            mlflow.log_input(mlflow.data.from_pandas(df, source=str(place.csv), targets=TARGET), context="training")
        with record("validate"):
            validate(df)
        with record("drift"):
            champion = None
            if sys.argv[2] == "now":
                champion = mlflow.sklearn.load_model(f"models:/{MODEL}@champion")
                seen = df[TIME] <= BEFORE - pd.Timedelta(days=HOLDOUT_DAYS)
                check_drift(df[seen], df[~seen], champion, home)
        with record("features"):
            cut = df[TIME].max() - pd.Timedelta(days=HOLDOUT_DAYS)
            train, holdout = df[df[TIME] <= cut], df[df[TIME] > cut]
        with record("trials"):
            found = search(place, train)
            log_trials(found)
        with record("train"):
            model = build(LogisticRegression()).set_params(**found.best_params_)
            model.fit(train[INPUTS], train[TARGET])
            joblib.dump(model, home / "model.joblib")
        with record("log"):
            mlflow.log_params({k: str(v) for k, v in found.best_params_.items()})
            info = mlflow.sklearn.log_model(
                model,
                name="model",
                signature=infer_signature(train[INPUTS], model.predict(train[INPUTS])),
                input_example=train[INPUTS].head(),
                # The default format refuses this pipeline.
                serialization_format="cloudpickle",
            )
        with record("evaluate"):
            y = (holdout[TARGET] == CLASSES[1]).to_numpy().astype(int)
            answers = {"challenger": model.predict_proba(holdout[INPUTS])[:, 1]}
            differences = np.array([])
            if champion is not None:
                answers["champion"] = champion.predict_proba(holdout[INPUTS])[:, 1]
                differences = bootstrap(y, answers["challenger"], answers["champion"])
            mlflow.log_metrics(
                {f"{who}_{name}": value for who, p in answers.items() for name, value in score(y, p).items()}
            )
            mlflow.log_metric("latency_p95_ms", latency_p95_ms(model, holdout[INPUTS]))
            draw(y, answers, differences, home / "plots")
            draw_importance(model, holdout[INPUTS], holdout[TARGET].to_numpy(), home / "plots")
            mlflow.log_artifacts(str(home / "plots"), "plots")
        with record("register"):
            version = mlflow.register_model(info.model_uri, MODEL).version
            loaded = mlflow.pyfunc.load_model(f"models:/{MODEL}/{version}")
            requests = holdout[INPUTS].head(REQUESTS)
            assert (loaded.predict(requests) == model.predict(requests)).all()
            client.set_registered_model_alias(MODEL, "champion", version)
        print(run.info.run_id, found.best_params_, score(y, answers["challenger"])[METRIC], flush=True)
    record.mark("finish")
    record.write()


if __name__ == "__main__":
    main()
