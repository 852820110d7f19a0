"""What a tutorial does: a pydantic model of a row, a DataFrame a request, the pipeline's own `predict`."""

import os

import joblib
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel, create_model

model = joblib.load(os.environ["BENCH_MODEL"])
columns = dict.fromkeys((f"n{i}" for i in range(15)), float | None) | dict.fromkeys((f"c{i}" for i in range(5)), str)
Row = create_model("Row", **{name: (kind, ...) for name, kind in columns.items()})


class Rows(BaseModel):
    rows: list[Row]


app = FastAPI()


@app.get("/health")
def health():
    return "ok"


@app.post("/predict")
def predict(asked: Rows):
    frame = pd.DataFrame([row.model_dump() for row in asked.rows])
    return {"predictions": model.predict(frame).tolist()}
