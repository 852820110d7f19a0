"""A model artifact answers stored requests in a fresh process: python careful_smoke.py <model> <requests' folder>."""

import json
import sys
from pathlib import Path

import cloudpickle
import pandas as pd

model = cloudpickle.loads((Path(sys.argv[1]) / "model.pkl").read_bytes())
print(json.dumps(model.predict_proba(pd.read_parquet(Path(sys.argv[2]) / "requests.parquet"))[:, 1].tolist()))
