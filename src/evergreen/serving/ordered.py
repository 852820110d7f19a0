"""Rows as arrays of values, in an order of columns that the request names: MLflow's `dataframe_split`, compiled."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

# As many clients with an order each are remembered; making what reads one takes about a millisecond.
_MOST_ORDERS = 16


class Order(NamedTuple):
    """The compiled check of whole bodies with this order; `places` are those of the model's columns in it, in turn, and
    last that of the rows' names, if they are given.
    """

    decoder: "msgspec.json.Decoder[Any]"
    places: tuple[int, ...]


def orders(fields: Mapping[str, Any], optional: str | None) -> Callable[[tuple[str, ...]], Order | None]:
    """What finds the order of some names; None where they are not all of the `fields`, each once, but perhaps for an
    optional one.

    >>> order = orders({"price": float, "plan": str, "id": str | None}, "id")
    >>> order(("plan", "price")).places, order(("id", "plan", "price")).places, order(("plan", "id"))
    ((1, 0), (2, 1, 0), None)
    """

    @lru_cache(_MOST_ORDERS)
    def order(names: tuple[str, ...]) -> Order | None:
        wanted = [name for name in fields if name in names or name != optional]
        if sorted(wanted) != sorted(names):
            return None
        row: Any = tuple[tuple(fields[name] for name in names)]  # type: ignore[misc]
        split = msgspec.defstruct("Split", [("columns", list[str]), ("data", list[row])], gc=False)
        told: list[Any] = [("dataframe_split", split), ("params", Any, None)]
        body = msgspec.defstruct("Body", told, forbid_unknown_fields=True, gc=False)
        return Order(msgspec.json.Decoder(body), tuple(map(names.index, wanted)))

    return order


def named(body: bytes) -> tuple[str, ...]:
    """What seem to be the names of the columns; whoever decodes the body has to see that they are. Raises
    msgspec.MsgspecError.

    >>> named(b'{"dataframe_split": {"columns": ["price", "plan"], "data": []}}')
    ('price', 'plan')
    """
    start = body.find(b"[", body.find(b'"columns"'))
    return tuple(msgspec.json.decode(body[start : body.find(b"]", start) + 1], type=list[str]))
