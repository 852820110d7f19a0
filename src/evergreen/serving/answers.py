"""What a request is told, and what is captured of it: the same predictions in every form."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from evergreen.serving.handles import Answers, Column, Prediction, Row, ServedModel
from evergreen.serving.reader import Rows
from evergreen.serving.rows import row_to_json

ARROW, PARQUET = b"application/vnd.apache.arrow.stream", b"application/vnd.apache.parquet"


@dataclass(frozen=True, slots=True)
class Occasion:
    """The request that predictions belong to: its id, when it was answered (aware, UTC), and how long that took."""

    request: str
    at: datetime
    latency_ms: float


def predictions_of(model: ServedModel, asked: Rows, answers: Answers, occasion: Occasion) -> list[Prediction]:
    """Every row with its answer. The id of a prediction is its request's, with its place among the rows."""
    labels, chances = _plain(answers.predictions), _chances(answers)
    request = occasion.request
    return [
        Prediction(
            id=f"{request}.{place}",
            request=request,
            model=model.model,
            version=model.version,
            role=model.role,
            at=occasion.at,
            inputs=inputs,
            prediction=label,
            probabilities=chance,
            row_id=row_id,
            latency_ms=occasion.latency_ms,
        )
        for place, (inputs, row_id, label, chance) in enumerate(
            zip(inputs_of(model.columns, asked.rows), asked.ids, labels, chances, strict=True)
        )
    ]


def inputs_of(columns: Sequence[Column], rows: Sequence[Row]) -> list[dict[str, Any]]:
    """What `row_to_json` says of every row, column by column: a third of the time, where rows are many.

    >>> inputs_of((Column("n", "integer"), Column("x", "number")), [(3.0, float("nan"))])
    [{'n': 3, 'x': None}]
    """
    names = [column.name for column in columns]
    values = [_as_json(column, given) for column, given in zip(columns, zip(*rows, strict=True), strict=True)]
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def _as_json(column: Column, values: Sequence[Any]) -> Sequence[Any]:
    if column.type in ("category", "text"):
        return values
    if column.type == "number":
        return [None if value != value else value for value in values]  # noqa: PLR0124 - NaN
    return [row_to_json((column,), (value,))[column.name] for value in values]


def to_json(model: ServedModel, request: str, predictions: Sequence[Prediction], single: bool) -> bytes:
    """The answer as JSON: flat for one bare object, else with a list `predictions` in the order of the rows."""
    head = {"model": model.model, "version": model.version, "request_id": request}
    if single:
        return msgspec.json.encode(head | _said(predictions[0]))
    return msgspec.json.encode(head | {"predictions": [_said(one) for one in predictions]})


def to_invocation(model: ServedModel, request: str, predictions: Sequence[Prediction], _single: bool) -> bytes:
    """The answer as MLflow's scoring server gives it, bare predictions, with ours beside them."""
    head = {"model": model.model, "version": model.version, "request_id": request}
    bare, names = [one.prediction for one in predictions], [one.id for one in predictions]
    return msgspec.json.encode({"predictions": bare, **head, "prediction_ids": names})


def to_arrow(model: ServedModel, request: str, predictions: Sequence[Prediction], _single: bool) -> bytes:
    """The answer as an Arrow stream: one row a prediction, one column a class."""
    import pyarrow as pa

    table = _table(model, request, predictions)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def to_parquet(model: ServedModel, request: str, predictions: Sequence[Prediction], _single: bool) -> bytes:
    """The answer as a Parquet file: one row a prediction, one column a class."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(_table(model, request, predictions), sink)
    return bytes(sink.getvalue())


def _table(model: ServedModel, request: str, predictions: Sequence[Prediction]) -> Any:
    import pyarrow as pa

    columns: dict[str, Any] = {
        "prediction_id": [one.id for one in predictions],
        "row_id": pa.array([one.row_id for one in predictions], pa.string()),
        "prediction": [one.prediction for one in predictions],
    }
    for name in predictions[0].probabilities or ():
        columns[f"probability_{name}"] = [(one.probabilities or {})[name] for one in predictions]
    described = {"model": model.model, "version": str(model.version), "request_id": request}
    return pa.table(columns).replace_schema_metadata(described)


def _said(one: Prediction) -> dict[str, Any]:
    said: dict[str, Any] = {"prediction_id": one.id, "prediction": one.prediction, "probabilities": one.probabilities}
    if one.row_id is not None:
        said["row_id"] = one.row_id
    return said


def _plain(values: Any) -> Sequence[Any]:
    """Labels or numbers as Python has them."""
    return values.tolist() if hasattr(values, "tolist") else list(values)


def _chances(answers: Answers) -> Sequence[dict[str, float] | None]:
    if answers.probabilities is None:
        return [None] * len(answers.predictions)
    classes = answers.classes
    return [dict(zip(classes, row, strict=True)) for row in answers.probabilities.tolist()]
