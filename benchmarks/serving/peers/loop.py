"""No server at all: the model's own `predict`, asked again and again about a DataFrame that is made already.

`loop.py MODEL ROWS.json SECONDS` prints CPU milliseconds a call, their p50 and p99, and the process' peak memory.
"""

import json
import sys
import time
from pathlib import Path

import joblib
import pandas as pd


def main(model_file: str, rows_file: str, seconds: str) -> None:
    model = joblib.load(model_file)
    with open(rows_file, encoding="utf-8") as file:
        frames = [pd.DataFrame(rows) for rows in json.load(file)]
    for frame in frames[:3]:
        model.predict(frame)
    took, until = [], time.perf_counter() + float(seconds)
    began = time.process_time()
    while time.perf_counter() < until:
        at = time.perf_counter()
        model.predict(frames[len(took) % len(frames)])
        took.append(time.perf_counter() - at)
    spent = time.process_time() - began
    took.sort()
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    p50, p99 = (took[int(share * (len(took) - 1))] * 1000 for share in (0.5, 0.99))
    print(json.dumps({"answers": len(took), "bad": 0, "cpu_s": spent, "p50_ms": p50, "p99_ms": p99, "peak_mb": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
