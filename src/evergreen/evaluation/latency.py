"""How long one row takes through the whole pipeline, as a caller of a server would feel it."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

Clock = Callable[[], float]

WARM_UP = 10
ROWS = 100


def measure_latency(model: Any, frame: "pd.DataFrame", clock: Clock = time.perf_counter) -> float | None:
    """The 95th percentile over about 100 single rows, in milliseconds; None without rows.

    Rows are spread over the frame, predicted one by one on one thread, the first ten before the watch is started:
    what is measured is a warm server on a machine that does other work too.
    """
    from threadpoolctl import threadpool_limits

    if frame.empty:
        return None
    positions = np.linspace(0, len(frame) - 1, num=WARM_UP + ROWS).astype(int)
    rows = [frame.iloc[[position]] for position in positions]
    with threadpool_limits(1):
        seconds = [_timed(model, row, clock) for row in rows][WARM_UP:]
    return float(np.percentile(seconds, 95)) * 1000


def _timed(model: Any, row: "pd.DataFrame", clock: Clock) -> float:
    start = clock()
    model.predict(row)
    return clock() - start
