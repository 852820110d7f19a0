"""What an answer costs inside the server: reading a row, encoding it, asking the model; beside the pipeline itself.

    OMP_NUM_THREADS=1 python benchmarks/serving/engine.py

A table of 15 numbers and 5 categories of 8 values, a tenth of two columns missing; a logistic regression, histogram
gradient boosting of 150 trees, with numba and without, and a random forest of 100. Prints Markdown: microseconds of
CPU, the best of several rounds, for one row, 16 and 1,000. The pipeline is given a DataFrame that is made already.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import msgspec
import numpy as np
import pandas as pd

from evergreen.features.pipeline import build_preprocessing, with_estimator
from evergreen.registry.artifact import answer
from evergreen.serving.decode import decode_records
from evergreen.serving.engine import CompiledEngine, build_engine
from evergreen.serving.handles import Column
from evergreen.serving.reader import build_reader
from evergreen.serving.rows import frame_to_rows, row_to_json
from evergreen.spec.features import FeatureSpec
from evergreen.training.estimators import encoding_of, estimator_class

NUMBERS, CATEGORIES = tuple(f"n{i}" for i in range(15)), tuple(f"c{i}" for i in range(5))
TYPES = {**dict.fromkeys(NUMBERS, "number"), **dict.fromkeys(CATEGORIES, "category")}
COLUMNS = tuple(Column(name, kind) for name, kind in TYPES.items())
MODELS: dict[str, dict[str, Any]] = {
    "logistic_regression": {},
    "hist_gradient_boosting": {"max_iter": 150, "categorical_features": [False] * 15 + [True] * 5},
    "random_forest": {"n_estimators": 100, "max_depth": 10},
}
ROUNDS = 5


def table(rows: int = 5000) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({name: draw.normal(size=rows) for name in NUMBERS})
    frame = frame.assign(**{name: pd.Categorical(draw.choice(list("abcdefgh"), rows)) for name in CATEGORIES})
    for name in ("n0", "c0"):
        frame.loc[draw.random(rows) < 0.1, name] = None
    return frame


def labels(frame: pd.DataFrame) -> np.ndarray:
    noise = np.random.default_rng(1).normal(size=len(frame))
    return np.where(frame["n1"] + frame["n2"] * frame["n3"] + (frame["c1"] == "a") + noise > 0, "yes", "no")


def trained(kind: str, frame: pd.DataFrame) -> Any:
    features = FeatureSpec(numeric=NUMBERS, categorical=CATEGORIES)
    prepared = build_preprocessing(features, TYPES, encoding_of(kind), None).fit(frame)
    pipeline = with_estimator(prepared, estimator_class(kind, None, "classification", "here")(**MODELS[kind]))
    pipeline[-1].fit(pipeline[:-1].transform(frame), labels(frame))
    return pipeline


def cost(work: Callable[[], Any], repeat: int) -> float:
    """Microseconds of CPU of one call."""
    work()
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(repeat):
            work()
        best = min(best, (time.process_time() - began) / repeat * 1e6)
    return best


def measured(kind: str, frame: pd.DataFrame, without: str = "") -> Iterator[str]:
    pipeline, reader = trained(kind, frame), build_reader(COLUMNS)
    engine = build_engine(pipeline, frame.head(50), answer(pipeline, frame.head(50)))
    assert isinstance(engine, CompiledEngine)
    assert bool(engine.why) == bool(without)
    for count, repeat in ((1, 1000), (16, 200), (1000, 10)):
        some = frame.head(count)
        written = [row_to_json(COLUMNS, row) for row in frame_to_rows(COLUMNS, some)]
        body = msgspec.json.encode(written[0] if count == 1 else {"rows": written})
        # As the reader hands them on: many rows stay column by column.
        rows = decode_records(reader, body).rows
        read = cost(lambda body=body: decode_records(reader, body), repeat)
        encode, model = 0.0, 0.0
        if count == 1 and engine.single is not None:
            model = cost(lambda row=rows[0], single=engine.single: single(row), repeat)
        else:
            matrix = engine.encoder(rows)
            encode = cost(lambda rows=rows: engine.encoder(rows), repeat)
            model = cost(lambda matrix=matrix: engine.predict(matrix), repeat)
        whole, ours = cost(lambda some=some: pipeline.predict_proba(some), 10), read + encode + model
        shown = " | ".join(f"{part:,.0f}" if part else "-" for part in (read, encode, model, ours, whole))
        yield f"| {kind}{without} | {count:,} | {shown} | {whole / ours:.0f} x |"


def main() -> None:
    if find_spec("numba") is None:
        sys.exit("numba is missing: pip install 'evergreen[numba]'")
    frame = table()
    print("| model | rows | read and check | encode | model | together | `pipeline.predict_proba` | |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for kind in MODELS:
        for line in measured(kind, frame):
            print(line)
    # As where it is not installed.
    sys.modules["numba"] = None  # type: ignore[assignment]
    del sys.modules["evergreen.serving.kernel"]
    for line in measured("hist_gradient_boosting", frame, ", without numba"):
        print(line)


if __name__ == "__main__":
    main()
