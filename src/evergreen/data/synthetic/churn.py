"""Customers, some of whom leave; with drift of a chosen kind from a chosen day on."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from evergreen.data.synthetic.options import Moment, Options, read_options

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_PLANS = ("basic", "plus", "pro")
_REGIONS = ("north", "south", "east", "west")
_PLAN_RISK = {"basic": 1.0, "plus": 0.0, "pro": -1.5}


class ChurnOptions(Options):
    """`drift` sets in at `drift_at`, or after three quarters of the period when that is left out."""

    start: Moment = datetime(2025, 1, 1)  # noqa: DTZ001 - columns hold naive UTC
    end: Moment = datetime(2026, 1, 1)  # noqa: DTZ001
    drift: Literal["none", "covariate", "concept", "prior", "broken_feed"] = "none"
    drift_at: Moment | None = None
    noise: float = Field(0.02, ge=0, le=0.5, description="Share of labels that are flipped.")

    @model_validator(mode="after")
    def _ordered(self) -> "ChurnOptions":
        if self.start >= self.end:
            raise ValueError(f"start {self.start} is not before end {self.end}")
        return self

    @property
    def drift_from(self) -> datetime:
        """The first moment that drift touches."""
        return self.drift_at or self.start + (self.end - self.start) * 0.75


def generate(rows: int, seed: int, options: dict[str, Any]) -> "pd.DataFrame":
    """Customers by the time they were observed at.

    `covariate` moves prices, quantities and regions under the same rule; `concept` changes the rule under the same
    customers; `prior` makes leaving more frequent among otherwise the same leavers and stayers; `broken_feed` sends
    prices of -1 and no quantities. Rows before the drift are the same, whatever its kind.
    """
    import numpy as np

    chosen = read_options(ChurnOptions, options, "churn")
    draw = np.random.default_rng([seed, 0])
    observed = _moments(draw, rows, chosen)
    moved = observed >= np.datetime64(chosen.drift_from, "us")
    customers = _customers(draw, rows)
    if chosen.drift == "covariate":
        customers = _shift(customers, moved)
    leaves = _leaves(customers, draw, chosen.noise, moved if chosen.drift == "concept" else np.zeros(rows, bool))
    if chosen.drift == "prior":
        customers, leaves = _more_leavers(np.random.default_rng([seed, 1]), customers, leaves, moved)
    table = _table(customers, leaves, observed)
    return _break_feed(np.random.default_rng([seed, 2]), table, moved) if chosen.drift == "broken_feed" else table


def _moments(draw: "np.random.Generator", rows: int, chosen: ChurnOptions) -> Any:
    import numpy as np

    seconds = int((chosen.end - chosen.start).total_seconds())
    offsets = np.sort(draw.integers(0, seconds, rows))
    return np.datetime64(chosen.start, "us") + offsets.astype("timedelta64[s]")


def _customers(draw: "np.random.Generator", rows: int) -> "pd.DataFrame":
    import numpy as np
    import pandas as pd

    return pd.DataFrame(
        {
            "quantity": 1 + draw.poisson(4, rows),
            "price": np.round(draw.lognormal(3.0, 0.5, rows), 2),
            "days": np.round(draw.gamma(2.0, 22.0, rows), 3),
            "plan": draw.choice(_PLANS, rows, p=(0.5, 0.3, 0.2)),
            "region": draw.choice(_REGIONS, rows),
        }
    )


def _shift(customers: "pd.DataFrame", moved: Any) -> "pd.DataFrame":
    import numpy as np

    westward = moved & (np.arange(len(customers)) % 2 == 0)
    return customers.assign(
        price=customers["price"].where(~moved, np.round(customers["price"] * 1.8, 2)),
        quantity=customers["quantity"].where(~moved, customers["quantity"] + 3),
        region=customers["region"].where(~westward, "west"),
    )


def _leaves(customers: "pd.DataFrame", draw: "np.random.Generator", noise: float, turned: Any) -> Any:
    """Who leaves: those away for long, who spent little, on a small plan. Where `turned`, big spenders leave."""
    import numpy as np

    absence = (customers["days"].to_numpy() - 45.0) / 12.0
    spend = np.log(customers["quantity"].to_numpy() * customers["price"].to_numpy() / 95.0) / 0.3
    plan = customers["plan"].map(_PLAN_RISK).to_numpy(dtype=float)
    risk = np.where(turned, 1.0 - absence + spend, absence - spend) + plan - 0.5
    flipped = draw.random(len(customers)) < noise
    return (risk > 0) ^ flipped


def _more_leavers(
    draw: "np.random.Generator", customers: "pd.DataFrame", leaves: Any, moved: Any
) -> tuple["pd.DataFrame", Any]:
    """After the drift two in three leave; each such row is drawn among the customers of its class."""
    import numpy as np

    wanted = draw.random(len(customers)) < 2 / 3
    source = np.arange(len(customers))
    for label in (False, True):
        rows, pool = np.flatnonzero(moved & (wanted == label)), np.flatnonzero(leaves == label)
        if len(pool):
            source[rows] = draw.choice(pool, len(rows))
    return customers.iloc[source].reset_index(drop=True), leaves[source]


def _table(customers: "pd.DataFrame", leaves: Any, observed: Any) -> "pd.DataFrame":
    import numpy as np
    import pandas as pd

    away = (customers["days"].to_numpy() * 86_400).astype("timedelta64[s]")
    return pd.DataFrame(
        {
            "customer_id": [f"C{n:07d}" for n in range(len(customers))],
            "quantity": customers["quantity"],
            "price": customers["price"],
            "last_purchase": observed - away,
            "plan": customers["plan"],
            "region": customers["region"],
            "churn": np.where(leaves, "Yes", "No"),
            "observed_at": observed,
        }
    )


def _break_feed(draw: "np.random.Generator", table: "pd.DataFrame", moved: Any) -> "pd.DataFrame":
    priceless = moved & (draw.random(len(table)) < 0.6)
    uncounted = moved & (draw.random(len(table)) < 0.4)
    return table.assign(
        price=table["price"].mask(priceless, -1.0), quantity=table["quantity"].astype("float64").mask(uncounted)
    )
