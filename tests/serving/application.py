"""A served model that is small and real, and the application around it."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import httpx
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from evergreen.data.frame import canonical_frame
from evergreen.features.pipeline import build_preprocessing, with_estimator
from evergreen.registry.artifact import answer
from evergreen.serving.engine import build_engine
from evergreen.serving.handles import Column, ServedModel
from evergreen.serving.ids import Ids
from evergreen.serving.loaded import LoadedModels
from evergreen.serving.service import Dependencies, build_app
from evergreen.spec.features import FeatureSpec

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
COLUMNS = (
    Column("price", "number", min=0, max=100),
    Column("count", "integer", nullable=False, min=0),
    Column("plan", "category", allowed=("basic", "plus", "pro")),
    Column("gift", "boolean"),
    Column("last", "datetime"),
    Column("note", "text"),
)
ROW = {"price": 9.5, "count": 3, "plan": "plus", "gift": True, "last": "2026-01-31T12:00:00Z", "note": "fragile"}
FEATURES = FeatureSpec.model_validate(
    {
        "derive": [{"name": "weekday", "kind": "weekday", "of": "last"}],
        "numeric": ["price", "count", "gift", "weekday"],
        "categorical": ["plan", "note"],
    }
)


@cache
def trained(version=1):
    """A pipeline over the columns; every version answers otherwise."""
    draw, rows = np.random.default_rng(version), 200
    types = {column.name: column.type for column in COLUMNS}
    raw = pd.DataFrame(
        {
            "price": draw.uniform(0, 100, rows),
            "count": draw.integers(0, 9, rows).astype(float),
            "plan": draw.choice(["basic", "plus", "pro"], rows),
            "gift": draw.integers(0, 2, rows).astype(float),
            "last": pd.Timestamp("2026-01-01") + pd.to_timedelta(draw.integers(0, 90, rows), unit="D"),
            "note": draw.choice(["fragile", "heavy"], rows),
        }
    )
    frame = canonical_frame(raw, types)
    labels = np.where(frame["price"] + 30 * draw.normal(size=rows) > 50, "yes", "no")
    prepared = build_preprocessing(FEATURES, types, "scaled", None).fit(frame)
    pipeline = with_estimator(prepared, LogisticRegression(C=version))
    pipeline[-1].fit(pipeline[:-1].transform(frame), labels)
    return pipeline, frame.head(20)


@cache
def served(version=1, model="parcels"):
    """The version as serving has it."""
    pipeline, requests = trained(version)
    engine = build_engine(pipeline, requests, answer(pipeline, requests))
    return ServedModel(
        model,
        version,
        f"{version:064x}",
        "classification",
        tuple(column for name in pipeline["read"].types for column in COLUMNS if column.name == name),
        engine,
        id_column="parcel",
        classes=tuple(pipeline.classes_),
    )


class Failing:
    """An engine for which some rows are fatal, with a message that nobody should read."""

    name, why = "failing", "it fails"

    def __init__(self, engine, fatal):
        self.engine, self.fatal = engine, fatal
        self.calls = []

    def answer(self, rows):
        self.calls.append(len(rows))
        if any(row[0] == self.fatal for row in rows):
            raise ValueError("secret feature 4711")
        return self.engine.answer(rows)


def failing(fatal, model="parcels"):
    return replace(served(1, model), engine=Failing(served().engine, fatal))


def application(*models, **dependencies):
    """An application that serves these models."""
    loaded = LoadedModels([model.model for model in models])
    for model in models:
        loaded.swap(model)
    return build_app(Dependencies(loaded, lambda: NOW, Ids(NOW, "test"), **dependencies), "test")


def connect(app, **options):
    """A client of the application, in this process."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=True)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost", **options)


def ask(app, method, path, **options):
    """One request, and its answer."""

    async def once():
        async with connect(app) as client:
            return await client.request(method, path, **options)

    return asyncio.run(once())


def gather(app, requests):
    """Many requests at once: (method, path, options) each."""

    async def all_of_them():
        async with connect(app) as client:
            return await asyncio.gather(*(client.request(m, p, **options) for m, p, options in requests))

    return asyncio.run(all_of_them())
