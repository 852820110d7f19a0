"""What a tutorial does: a DataFrame a request, and the pipeline's own `predict`; nothing is checked."""

import os

import joblib
import pandas as pd
from flask import Flask, jsonify, request

app = Flask(__name__)
model = joblib.load(os.environ["BENCH_MODEL"])


@app.get("/health")
def health():
    return "ok"


@app.post("/predict")
def predict():
    frame = pd.DataFrame(request.get_json()["rows"])
    return jsonify(predictions=model.predict(frame).tolist())
