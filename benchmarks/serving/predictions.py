"""Predictions to be stored, the store for them, and what storing took."""

import os
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from evergreen.store.ledger import Ledger
from evergreen.store.prediction import Prediction, Role

START = datetime(2026, 3, 2, 6, tzinfo=UTC)
PLANS = ("basic", "plus", "pro", "business")


def make(rows: int, first: int = 0, columns: int = 20, row_ids: bool = True) -> list[Prediction]:
    """Predictions in order of time, three quarters of their inputs numbers."""
    draw, names = random.Random(first), [f"column_{i}" for i in range(columns)]
    numbers = columns * 3 // 4
    made = []
    for place in range(first, first + rows):
        share = draw.random()
        values = [round(draw.gauss(0, 1), 4) for _ in range(numbers)]
        inputs = dict(zip(names, [*values, *draw.choices(PLANS, k=columns - numbers)], strict=True))
        request = f"69a77600ab12-{place:x}"
        row_id = str(draw.randrange(10**9)) if row_ids else None
        chances = {"no": 1 - share, "yes": share}
        at = START + timedelta(milliseconds=place)
        label = "yes" if share > 0.5 else "no"
        made.append(
            Prediction(
                f"{request}.0", request, "churn", 3, Role.CHAMPION, at, inputs, label, chances, row_id, 1.234, False
            )
        )
    return made


def store(folder: str) -> str:
    """The address of an empty, prepared store."""
    url = os.environ.get("EVERGREEN_STORE_URL") or f"sqlite:///{Path(folder) / 'evergreen.db'}"
    Ledger(url).prepare()
    return url


def cpu(call: Callable[[], object]) -> float:
    """Seconds of CPU."""
    began = time.process_time()
    call()
    return time.process_time() - began
