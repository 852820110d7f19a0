"""Thirty columns and as many rows as one likes: what the benchmarks read."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import Field

from evergreen.data.synthetic.options import Moment, Options, read_options

if TYPE_CHECKING:
    import pandas as pd

_CHUNK = 100_000


class WideOptions(Options):
    """`null_share` of every fifth numeric column is missing; `categories` is how many values a category has."""

    start: Moment = datetime(2025, 1, 1)  # noqa: DTZ001 - columns hold naive UTC
    end: Moment = datetime(2026, 1, 1)  # noqa: DTZ001
    numeric: int = Field(20, ge=4)
    categorical: int = Field(10, ge=1)
    categories: int = Field(12, ge=2)
    null_share: float = Field(0.02, ge=0, lt=1)


def generate(rows: int, seed: int, options: dict[str, Any]) -> "Iterator[pd.DataFrame]":
    """Columns n0…, c0…, event_time (in order) and target (yes or no), in parts of 100,000 rows."""
    chosen = read_options(WideOptions, options, "wide")
    return (_part(start, min(_CHUNK, rows - start), rows, seed, chosen) for start in range(0, rows, _CHUNK))


def _part(start: int, count: int, rows: int, seed: int, chosen: WideOptions) -> "pd.DataFrame":
    import numpy as np
    import pandas as pd

    draw = np.random.default_rng([seed, start])
    numbers = draw.standard_normal((chosen.numeric, count))
    codes = draw.integers(0, chosen.categories, (chosen.categorical, count), dtype=np.int32)
    signal = 1.2 * numbers[0] - 0.8 * numbers[1] + 0.6 * numbers[2] * numbers[3] + 0.5 * (codes[0] % 3 - 1.0)
    late = signal + draw.logistic(0, 0.8, count) > 0.5
    numbers[::5][draw.random((len(numbers[::5]), count)) < chosen.null_share] = np.nan
    names = pd.Index([f"v{i:02d}" for i in range(chosen.categories)])
    seconds = (chosen.end - chosen.start).total_seconds() * np.arange(start, start + count) / rows
    columns: dict[str, Any] = {f"n{i}": values for i, values in enumerate(numbers)}
    columns |= {f"c{i}": pd.Categorical.from_codes(row, categories=names) for i, row in enumerate(codes)}
    columns["event_time"] = np.datetime64(chosen.start, "us") + seconds.astype("timedelta64[s]")
    columns["target"] = pd.Categorical.from_codes(late.astype(np.int8), categories=pd.Index(["no", "yes"]))
    return pd.DataFrame(columns, copy=False)
