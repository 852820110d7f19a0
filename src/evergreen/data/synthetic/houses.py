"""House sales over about two years, at prices that rise slowly."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from evergreen.data.synthetic.options import Moment, Options, read_options

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_AREAS = (
    "Altstadt",
    "Bruehl",
    "Feldrain",
    "Hafen",
    "Kirchberg",
    "Lindenau",
    "Muehlen",
    "Nordend",
    "Rosental",
    "Weiher",
)
_KINDS = {"detached": 0.18, "semi_detached": 0.05, "terraced": 0.0, "flat": -0.08}


class HouseOptions(Options):
    """`inflation` is the rise of prices in a year; `noise` the standard deviation of a price's logarithm."""

    start: Moment = datetime(2024, 1, 1)  # noqa: DTZ001 - columns hold naive UTC
    end: Moment = datetime(2026, 1, 1)  # noqa: DTZ001
    inflation: float = Field(0.04, ge=-0.5, le=1)
    noise: float = Field(0.14, ge=0, le=2)

    @model_validator(mode="after")
    def _ordered(self) -> "HouseOptions":
        if self.start >= self.end:
            raise ValueError(f"start {self.start} is not before end {self.end}")
        return self


def generate(rows: int, seed: int, options: dict[str, Any]) -> "pd.DataFrame":
    """Sales by date: living_area and lot_area in m², bedrooms, bathrooms, built_year, condition 1 to 5,
    distance_km to the centre, kind, neighbourhood, sale_date and price.
    """
    import numpy as np

    chosen = read_options(HouseOptions, options, "houses")
    draw = np.random.default_rng(seed)
    days = np.sort(draw.integers(0, max((chosen.end - chosen.start).days, 1), rows))
    houses = _houses(draw, rows)
    value = _log_value(houses) + np.log1p(chosen.inflation) * days / 365.25 + draw.normal(0, chosen.noise, rows)
    sold = np.datetime64(chosen.start, "us") + days.astype("timedelta64[D]")
    return houses.assign(sale_date=sold, price=np.round(np.exp(value), -2))


def _houses(draw: "np.random.Generator", rows: int) -> "pd.DataFrame":
    import numpy as np
    import pandas as pd

    living = np.round(np.clip(draw.lognormal(4.75, 0.35, rows), 25, 600))
    kind = draw.choice(list(_KINDS), rows, p=(0.35, 0.2, 0.2, 0.25))
    lot = np.where(kind == "flat", np.nan, np.round(living * draw.lognormal(1.0, 0.5, rows)))
    return pd.DataFrame(
        {
            "living_area": living,
            "lot_area": lot,
            "bedrooms": np.clip(np.round(living / 35 + draw.normal(0, 0.7, rows)), 1, 10).astype("int64"),
            "bathrooms": np.clip(np.round(living / 90 + draw.normal(0, 0.4, rows)), 1, 5).astype("int64"),
            "built_year": draw.integers(1900, 2024, rows),
            "condition": draw.choice([1, 2, 3, 4, 5], rows, p=(0.03, 0.12, 0.45, 0.3, 0.1)),
            "distance_km": np.round(draw.gamma(2.5, 3.0, rows), 1),
            "kind": kind,
            "neighbourhood": draw.choice(_AREAS, rows),
        }
    )


def _log_value(houses: "pd.DataFrame") -> Any:
    """Expected logarithm of the price before inflation. A house without a lot is worth its rooms alone."""
    import numpy as np

    area = houses["neighbourhood"].map({name: 0.06 * (i - 4.5) for i, name in enumerate(_AREAS)})
    return (
        12.6
        + 0.75 * np.log(houses["living_area"] / 115)
        + 0.08 * np.log((houses["lot_area"].fillna(0) + 50) / 300)
        + 0.05 * houses["bathrooms"]
        + 0.07 * (houses["condition"] - 3)
        + 0.002 * (houses["built_year"] - 1970)
        - 0.025 * houses["distance_km"]
        + houses["kind"].map(_KINDS)
        + area
    ).to_numpy(dtype=float)
