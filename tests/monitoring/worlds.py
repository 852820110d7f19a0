"""Champions of generated worlds, with their holdout and what they say to rows that come later."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from evergreen.data.synthetic.churn import generate
from evergreen.evaluation.baseline import Baseline, measure_baseline
from evergreen.evaluation.predict import Answers, Holdout, ask

CHANGE = datetime(2025, 10, 1)


@dataclass(frozen=True)
class World:
    """A model, its baseline, and rows with their `target` from before and after something happened."""

    model: Any
    baseline: Baseline
    before: pd.DataFrame
    after: pd.DataFrame


def inputs_of(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.drop(columns=["target", "at"]).reset_index(drop=True)


def captured(said: Answers, rows: pd.DataFrame) -> pa.Table:
    """Answers as `Traffic.labelled` gives them."""
    chances = said.probabilities.T if said.probabilities is not None else ()
    columns = {f"probability_{name}": column for name, column in zip(said.classes, chances, strict=True)}
    at = pa.array(rows["at"], pa.timestamp("us", "UTC"))
    return pa.table(
        {"prediction": list(said.predicted), **columns, "label": list(rows["target"]), "at": at, "label_at": at}
    )


def answered(world: World, rows: pd.DataFrame) -> pa.Table:
    return captured(ask(world.model, inputs_of(rows)), rows)


@cache
def leavers(drift: str) -> World:
    """Customers who leave, 9,000 of them before the drift sets in and 4,000 after it."""
    rows = generate(13_000, 3, {"drift": drift, "drift_at": str(CHANGE.date()), "end": "2026-01-01"})
    days = (rows["observed_at"] - rows["last_purchase"]) / pd.Timedelta(days=1)
    spent = np.log(rows["quantity"] * rows["price"])
    named = {"days": days, "spent": spent, "plan": rows["plan"], "region": rows["region"]}
    frame = pd.DataFrame({**named, "at": rows["observed_at"], "target": rows["churn"]})
    encode = make_column_transformer((OneHotEncoder(), ["plan", "region"]), remainder=StandardScaler())
    calm = (frame["at"] < CHANGE).sum()
    return _world(make_pipeline(encode, LogisticRegression()), frame, "classification", 4_000, 7_000, calm)


@cache
def prices(rows: int = 12_000, seed: int = 0) -> World:
    """Numbers whose noise grows with a column that the model does not read much into; later that column is large."""
    draw = np.random.default_rng(seed)
    later = np.arange(rows) >= rows * 3 // 4
    area, noise = draw.normal(size=rows), draw.random(rows)
    noise = np.where(later, 0.6 + 0.4 * noise, noise)
    target = 3 * area + draw.normal(size=rows) * (0.2 + 2 * noise)
    at = pd.Timestamp("2025-01-01") + pd.to_timedelta(np.arange(rows), unit="min")
    frame = pd.DataFrame({"area": area, "noise": noise, "at": at, "target": target})
    return _world(LinearRegression(), frame, "regression", rows // 4, rows // 2, rows * 3 // 4)


def _world(model: Any, rows: pd.DataFrame, task: str, trained: int, held: int, calm: int) -> World:
    model.fit(inputs_of(rows.iloc[:trained]), rows["target"].iloc[:trained])
    holdout = rows.iloc[trained:held]
    on = Holdout(inputs_of(holdout), holdout["target"].reset_index(drop=True))
    baseline = measure_baseline(on, ask(model, on.frame), list(on.frame.columns), task, "")
    return World(model, baseline, rows.iloc[held:calm], rows.iloc[calm:])
