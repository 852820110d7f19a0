"""BentoML as its guide has it: one service, one worker, requests joined by its adaptive batching."""

import os
from typing import Any

import bentoml
import joblib
import pandas as pd


@bentoml.service(workers=1)
class Model:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["BENCH_MODEL"])

    # Rows as a list: 1.4.39 never answers where a batch is a DataFrame, whose size it takes to be its shape.
    @bentoml.api(batchable=True, max_batch_size=1000)
    def predict(self, rows: list[dict[str, Any]]) -> list[str]:
        return self.model.predict(pd.DataFrame(rows)).tolist()
