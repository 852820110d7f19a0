"""Retraining by a careful hand: the same libraries, each by its cheap path, and nothing else.

    python careful.py <place> <before|now> <stages.json>

Reads Parquet with categories as codes, numbers as float32; encodes once a fold and tries all candidates on it in two
threads of one core each; asks drift of a stored profile and draws Evidently's report of a sample; sorts once for all
resamples of the bootstrap; gives MLflow its requirements, a signature of 1,000 rows, and the data's digest.
"""

# ruff: noqa: E402 - the clock starts before the imports, which are part of what a run costs

import sys
from pathlib import Path

from stages import Recorder

record = Recorder(Path(sys.argv[3]))

import json
import os
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor

import mlflow
import mlflow.sklearn
import numpy as np
import pandas as pd
from careful_data import codes_and_numbers, load, validate
from careful_drift import compare, profile_of, report
from mlflow.data.http_dataset_source import HTTPDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import Metric, Param
from mlflow.models import infer_signature
from pictures import draw, draw_importance, latency_p95_ms, score
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import TimeSeriesSplit
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits
from workload import (
    BEFORE,
    CATEGORICAL,
    CATEGORIES,
    CLASSES,
    FOLDS,
    HOLDOUT_DAYS,
    INPUTS,
    LINEAR_GRID,
    METRIC,
    MODEL,
    NOW,
    NUMERIC,
    REFERENCE_ROWS,
    REQUESTS,
    SEED,
    TARGET,
    TIME,
    TREES,
    Place,
    resamples,
    tree_grid,
)

REQUIREMENTS = ("numpy", "scipy", "pandas", "scikit-learn", "cloudpickle")


def candidates(rows):
    return [*(("linear", point) for point in LINEAR_GRID), *(("trees", point) for point in tree_grid(rows))]


def build(kind, params):
    """What follows the matrix of numbers and codes."""
    if kind == "trees":
        mask = [False] * len(NUMERIC) + [True] * len(CATEGORICAL)
        return HistGradientBoostingClassifier(random_state=SEED, categorical_features=mask, **TREES, **params)
    numbers = slice(0, len(NUMERIC))
    codes = slice(len(NUMERIC), len(INPUTS))
    known = [np.arange(len(CATEGORIES), dtype=np.float32)] * len(CATEGORICAL)
    one_hot = OneHotEncoder(categories=known, handle_unknown="ignore", sparse_output=False, dtype=np.float32)
    scaled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    return make_pipeline(
        ColumnTransformer([("numbers", scaled, numbers), ("codes", one_hot, codes)]),
        LogisticRegression(max_iter=1000, **params),
    )


def trial(candidate, X, y, fold):
    train, validation = fold
    with threadpool_limits(1):
        model = build(*candidate).fit(X[train[0] : train[-1] + 1], y[train])
        return roc_auc_score(y[validation], model.predict_proba(X[validation[0] : validation[-1] + 1])[:, 1])


def search(tried, X, y):
    """Scores of every candidate on every fold; rows are in order of time, so that folds are slices."""
    scores = np.empty((len(tried), FOLDS))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for position, fold in enumerate(TimeSeriesSplit(FOLDS).split(X)):
            scores[:, position] = list(pool.map(lambda c, fold=fold: trial(c, X, y, fold), tried))
    return scores


def log_trials(client, experiment, parent, tried, scores):
    for (kind, params), row in zip(tried, scores, strict=True):
        child = client.create_run(experiment, tags={"mlflow.parentRunId": parent}, run_name=kind).info.run_id
        folds = [Metric("fold", value, 0, step) for step, value in enumerate(row)]
        logged = [Param("kind", kind), *(Param(k, str(v)) for k, v in params.items())]
        client.log_batch(child, [*folds, Metric("mean", row.mean(), 0, 0)], logged)
        client.set_terminated(child)


def log_model(model, example):
    from importlib.metadata import version

    return mlflow.sklearn.log_model(
        model,
        name="model",
        serialization_format="cloudpickle",
        signature=infer_signature(example.head(1000), model.predict(example.head(1000))),
        input_example=example.head(5),
        pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
        code_paths=[os.path.join(os.path.dirname(__file__), f"{name}.py") for name in ("careful_data", "workload")],
    )


def weighted_auc(y, probability):
    """The area under the curve as a function of weights, for rows that are sorted once. Ties count as they fall."""
    order = np.argsort(probability, kind="stable")
    positive = y[order].astype(np.float64)
    negative = 1.0 - positive

    def area(weights):
        drawn = weights[order]
        below = np.cumsum(drawn * negative)
        return (drawn * positive * below).sum() / (below[-1] * (drawn * positive).sum())

    return area


def bootstrap(y, challenger, champion, days):
    """Differences over resampled days, paired."""
    rng = np.random.default_rng(SEED)
    _, day = np.unique(days, return_inverse=True)
    units = day.max() + 1
    new, old = weighted_auc(y, challenger), weighted_auc(y, champion)
    drawn = rng.multinomial(units, np.full(units, 1 / units), resamples(len(y))).astype(np.float64)
    return np.array([new(weights[day]) - old(weights[day]) for weights in drawn])


def smoke(version, requests, expected):
    """The registered artifact in a process of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = mlflow.artifacts.download_artifacts(f"models:/{MODEL}/{version}", dst_path=scratch)
        requests.to_parquet(os.path.join(scratch, "requests.parquet"))
        done = subprocess.run(
            [sys.executable, os.path.join(os.path.dirname(__file__), "careful_smoke.py"), folder, scratch],
            check=True,
            capture_output=True,
            text=True,
        )
    assert np.allclose(json.loads(done.stdout), expected, rtol=0, atol=1e-9)


def main():  # noqa: PLR0915 - a script, from top to bottom
    place = Place(Path(sys.argv[1]))
    as_of = {"before": BEFORE, "now": NOW}[sys.argv[2]]
    home = place.home("careful")
    home.mkdir(parents=True, exist_ok=True)
    mlflow.set_tracking_uri(f"sqlite:///{home / 'mlflow.db'}")
    if mlflow.get_experiment_by_name(MODEL) is None:
        mlflow.create_experiment(MODEL, artifact_location=str(home / "artifacts"))
    experiment = mlflow.set_experiment(MODEL).experiment_id
    client = mlflow.MlflowClient()
    record.mark("start")
    with mlflow.start_run() as run:
        run_id = run.info.run_id
        with record("load"):
            frame, snapshot, digest = load(place.parquet, as_of, home)
            mlflow.log_input(MetaDataset(HTTPDatasetSource(url=str(snapshot)), digest=digest[:36]), context="training")
        with record("validate"):
            validate(frame, as_of)
        champion, reference = None, home / "reference"
        with record("drift"):
            if sys.argv[2] == "now":
                champion = mlflow.sklearn.load_model(f"models:/{MODEL}@champion")
                stored = json.loads((reference / "profile.json").read_text())
                current = frame[frame[TIME] > pd.Timestamp(stored["until"])]
                current = current.assign(prediction=champion.predict_proba(current[INPUTS])[:, 1])
                verdict = compare(stored["columns"], current)
                report(pd.read_parquet(reference / "reference.parquet"), current, home / "drift.html")
                mlflow.log_artifact(str(home / "drift.html"))
                mlflow.log_dict(verdict, "drift.json")
                del current
        with record("features"):
            times = frame[TIME].to_numpy()
            cut = np.searchsorted(times, times[-1] - np.timedelta64(HOLDOUT_DAYS, "D"), side="right")
            y = (frame[TARGET] == CLASSES[1]).to_numpy()
            X = codes_and_numbers(frame.iloc[:cut])
        with record("trials"):
            tried = candidates(place.rows)
            scores = search(tried, X, y[:cut])
            log_trials(client, experiment, run_id, tried, scores)
        with record("train"):
            best = tried[int(scores.mean(axis=1).argmax())]
            with threadpool_limits(1):
                fitted = build(*best).fit(X, y[:cut])
            model = Pipeline([("read", FunctionTransformer(codes_and_numbers)), ("model", fitted)])
            del X
        holdout = frame.iloc[cut:]
        with record("log"):
            mlflow.log_params({"kind": best[0], **best[1]})
            info = log_model(model, holdout[INPUTS])
        with record("evaluate"), threadpool_limits(1):
            truth = y[cut:].astype(int)
            answers = {"challenger": model.predict_proba(holdout[INPUTS])[:, 1]}
            differences = np.array([])
            if champion is not None:
                answers["champion"] = champion.predict_proba(holdout[INPUTS])[:, 1]
                days = times[cut:].astype("datetime64[D]")
                differences = bootstrap(truth, answers["challenger"], answers["champion"], days)
            found = {f"{who}_{name}": v for who, p in answers.items() for name, v in score(truth, p).items()}
            mlflow.log_metrics(found | {"latency_p95_ms": latency_p95_ms(model, holdout[INPUTS])})
            draw(truth, answers, differences, home / "plots")
            draw_importance(model, holdout[INPUTS], truth, home / "plots")
            mlflow.log_artifacts(str(home / "plots"), "plots")
            reference.mkdir(exist_ok=True)
            columns = profile_of(frame.iloc[:cut][[*INPUTS, TARGET]])
            columns |= profile_of(pd.DataFrame({"prediction": answers["challenger"]}))
            stored = {"until": str(times[cut - 1]), "columns": columns}
            (reference / "profile.json").write_text(json.dumps(stored))
            rows = np.sort(np.random.default_rng(SEED).choice(cut, min(REFERENCE_ROWS, cut), replace=False))
            said = np.random.default_rng(SEED).choice(answers["challenger"], len(rows))
            sample = frame.iloc[rows][[*INPUTS, TARGET]].assign(prediction=said)
            sample.to_parquet(reference / "reference.parquet")
            mlflow.log_artifacts(str(reference), "reference")
        with record("register"):
            version = mlflow.register_model(info.model_uri, MODEL).version
            requests = holdout[INPUTS].head(REQUESTS)
            smoke(version, requests, model.predict_proba(requests)[:, 1])
            client.set_registered_model_alias(MODEL, "champion", version)
    record.mark("finish")
    print(run_id, best, found[f"challenger_{METRIC}"], flush=True)
    record.write()


if __name__ == "__main__":
    main()
