"""Blocks, and the same rows one by one."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from evergreen.store.block import Block
from evergreen.store.fields import NO_MOMENT, Field, plain_field, texts
from evergreen.store.prediction import Prediction, Role

NOW = datetime(2026, 3, 2, 6, 30, tzinfo=UTC)


def block(rows: int = 4, request: str = "6a-1f", **changes) -> Block:
    chance = np.linspace(0.1, 0.8, rows)
    made = Block(
        request=request,
        model="churn",
        version=3,
        role=Role.CHAMPION,
        at=NOW,
        latency_ms=7.5,
        inputs={
            "price": Field("number", np.where(np.arange(rows) % 3, np.arange(rows) + 0.25, np.nan)),
            "count": Field("integer", np.arange(rows, dtype=np.float64)),
            "gift": Field("boolean", np.where(np.arange(rows) % 2, 1.0, np.nan)),
            "since": Field("datetime", np.where(np.arange(rows) % 2, 86_400_000_000, NO_MOMENT)),
            "plan": texts(["basic", None, "pro"][place % 3] for place in range(rows)),
        },
        prediction=plain_field(["yes" if each > 0.5 else "no" for each in chance]),
        places=range(rows),
        probabilities=np.column_stack([1 - chance, chance]),
        classes=("no", "yes"),
    )
    return replace(made, **changes)


def alone(many: Block) -> list[Prediction]:
    """The same rows as predictions of their own."""
    inputs = {name: field.tolist() for name, field in many.inputs.items()}
    chances = None if many.probabilities is None else many.probabilities.tolist()
    return [
        Prediction(
            id=f"{many.request}.{place}",
            request=many.request,
            model=many.model,
            version=many.version,
            role=many.role,
            at=many.at,
            inputs={name: values[row] for name, values in inputs.items()},
            prediction=many.prediction.tolist()[row],
            probabilities=None if chances is None else dict(zip(many.classes, chances[row], strict=True)),
            row_id=None if many.row_ids is None else many.row_ids[row],
            latency_ms=many.latency_ms,
            explored=many.explored is not None and many.explored[row],
        )
        for row, place in enumerate(many.places)
    ]
