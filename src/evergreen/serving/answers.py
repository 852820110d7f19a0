"""What a request is told, and what is captured of it: the same predictions in every form."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import repeat
from typing import Any

import msgspec

from evergreen.serving.by_column import ByColumn
from evergreen.serving.handles import Answers, Prediction, ServedModel
from evergreen.serving.reader import Rows
from evergreen.store.block import Block
from evergreen.store.fields import plain_field
from evergreen.store.inputs import Inputs

Answered = Sequence[Prediction] | Block
"""Few rows, or many, with what was said of them: as they are captured."""

ARROW, PARQUET = b"application/vnd.apache.arrow.stream", b"application/vnd.apache.parquet"


@dataclass(slots=True)
class Said:
    """What a request is told: who was asked, under which id, for which rows, and the answers to them.

    `explored` marks the rows whose outcome the caller is to find out; None where the model explores nothing.
    """

    model: ServedModel
    request: str
    asked: Rows
    answers: Answers
    explored: Sequence[bool] | None = None
    _chances: Sequence[dict[str, float] | None] | None = field(default=None, init=False)

    @property
    def head(self) -> dict[str, Any]:
        """What is told once."""
        return {"model": self.model.model, "version": self.model.version, "request_id": self.request}

    @property
    def ids(self) -> list[str]:
        """Of every prediction: that of its request, with its place among the rows."""
        return [f"{self.request}.{place}" for place in range(len(self.asked.rows))]

    @property
    def chances(self) -> Sequence[dict[str, float] | None]:
        """Probabilities by class, a row each, None where the model has none; as told and as captured."""
        if self._chances is None:
            self._chances = _by_class(self.answers)
        return self._chances


def captured_of(said: Said, at: datetime, latency_ms: float) -> Answered:
    """What is captured of the answers, given when (aware, UTC) and how long after the request."""
    # isinstance asks an abstract class, which takes longer.
    if type(said.asked.rows) is ByColumn:
        return _block_of(said, said.asked.rows, at, latency_ms)
    model, request, asked, form = said.model, said.request, said.asked, said.model.form
    name, version, role = model.model, model.version, model.role
    labels, marks = _plain(said.answers.predictions), said.explored or [False] * len(asked.rows)
    # By position: names of the fields take longer than all the rest.
    return [
        Prediction(each, request, name, version, role, at, Inputs(form, row), label, chance, row_id, latency_ms, mark)
        for each, row, row_id, label, chance, mark in zip(
            said.ids, asked.rows, asked.ids, labels, said.chances, marks, strict=True
        )
    ]


def _block_of(said: Said, rows: ByColumn, at: datetime, latency_ms: float) -> Block:
    model, answers, row_ids = said.model, said.answers, said.asked.ids
    return Block(
        request=said.request,
        model=model.model,
        version=model.version,
        role=model.role,
        at=at,
        latency_ms=latency_ms,
        inputs={column.name: field for column, field in zip(model.columns, rows.fields, strict=True)},
        prediction=plain_field(_plain(answers.predictions)),
        places=range(len(rows)),
        probabilities=answers.probabilities,
        classes=answers.classes,
        row_ids=row_ids if any(row_ids) else None,
        explored=said.explored if said.explored is not None and any(said.explored) else None,
    )


def to_json(said: Said) -> bytes:
    """The answer as JSON: flat for one bare object, else with a list `predictions` in the order of the rows."""
    if not said.asked.single:
        return msgspec.json.encode(said.head | {"predictions": _listed(said)})
    (label,), (chance,), row_id = said.answers.predictions, said.chances, said.asked.ids[0]
    one: dict[str, Any] = {"prediction_id": f"{said.request}.0", "prediction": label, "probabilities": chance}
    if said.explored is not None and said.explored[0]:
        one["explored"] = True
    return msgspec.json.encode(said.head | one | ({} if row_id is None else {"row_id": row_id}))


def to_invocation(said: Said) -> bytes:
    """The answer as MLflow's scoring server gives it, bare predictions, with ours beside them."""
    bare = {"predictions": _plain(said.answers.predictions)}
    marked = {} if said.explored is None else {"explored": said.explored}
    return msgspec.json.encode({**bare, **said.head, "prediction_ids": said.ids, **marked})


def to_arrow(said: Said) -> bytes:
    """The answer as an Arrow stream: one row a prediction, one column a class."""
    import pyarrow as pa

    table = _table(said)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def to_parquet(said: Said) -> bytes:
    """The answer as a Parquet file: one row a prediction, one column a class."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(_table(said), sink)
    return bytes(sink.getvalue())


def _table(said: Said) -> Any:
    import pyarrow as pa

    answers = said.answers
    columns: dict[str, Any] = {
        "prediction_id": said.ids,
        "row_id": pa.array(said.asked.ids, pa.string()),
        "prediction": _plain(answers.predictions),
    }
    if said.explored is not None:
        columns["explored"] = pa.array(said.explored, pa.bool_())
    if answers.probabilities is not None:
        turned = answers.probabilities.T
        columns |= {f"probability_{name}": chances for name, chances in zip(answers.classes, turned, strict=True)}
    described = {name: str(value) for name, value in said.head.items()}
    return pa.table(columns).replace_schema_metadata(described)


def _listed(said: Said) -> list[Any]:
    """One object a row. Structs are made and written in a third of the time that dictionaries take."""
    answers, count = said.answers, len(said.asked.rows)
    chances: Iterable[Any] = repeat(None, count)
    if answers.probabilities is not None:
        chances = map(_chances_of(answers.classes), *answers.probabilities.T.tolist())
    marks = () if said.explored is None else (said.explored,)
    return list(map(_One, said.ids, _plain(answers.predictions), chances, said.asked.ids, *marks))


class _One(msgspec.Struct, gc=False, omit_defaults=True):
    prediction_id: str
    prediction: Any
    probabilities: Any
    row_id: str | None = None
    explored: bool = False


@lru_cache(256)
def _chances_of(classes: tuple[str, ...]) -> Callable[..., Any]:
    """Makes an object with a probability for each class, by its name."""
    names = {f"f{place}": name for place, name in enumerate(classes)}
    try:
        made: Any = msgspec.defstruct("Chances", [(name, float) for name in names], rename=names, gc=False)
    except ValueError:
        # A name with quotes or control characters in it.
        return lambda *chances: dict(zip(classes, chances, strict=True))
    return made


def _plain(values: Any) -> Sequence[Any]:
    """Labels or numbers as Python has them."""
    return values.tolist() if hasattr(values, "tolist") else list(values)


def _by_class(answers: Answers) -> Sequence[dict[str, float] | None]:
    if answers.probabilities is None:
        return [None] * len(answers.predictions)
    classes = answers.classes
    return [dict(zip(classes, row, strict=True)) for row in answers.probabilities.tolist()]
