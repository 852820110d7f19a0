"""From the bytes of a request to those of its answer."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter
from typing import Protocol

from evergreen.errors import UnavailableError
from evergreen.serving import answers as forms
from evergreen.serving.answers import ARROW, PARQUET, Occasion, predictions_of
from evergreen.serving.batch import Lane
from evergreen.serving.decode import decode_invocation, decode_records
from evergreen.serving.desk import Desk
from evergreen.serving.handles import Answers, Prediction, Problem, ServedModel
from evergreen.serving.limits import Limits
from evergreen.serving.metrics import Tally
from evergreen.serving.reader import Reader, Rows, build_reader
from evergreen.serving.refused import Refused, busy, invalid, malformed, not_kept
from evergreen.serving.tables import decode_arrow, decode_parquet
from evergreen.serving.wire import JSON, Ask, Reply, content_type

Decode = Callable[[Reader, bytes], Rows | tuple[Problem, ...]]
Encode = Callable[[ServedModel, str, Sequence[Prediction], bool], bytes]

_TABLES: dict[bytes, Decode] = {ARROW: decode_arrow, PARQUET: decode_parquet}
_ENCODERS: dict[bytes, Encode] = {ARROW: forms.to_arrow, PARQUET: forms.to_parquet}
# A body from here on is read in the thread of the batches: reading it here would hold everybody up.
_LARGE_BYTES = 65_536
_READERS = 8


class Sink(Protocol):
    """Where predictions are captured; evergreen.serving.capture.Capture is."""

    def is_durable(self, model: str) -> bool:
        """True where answers of the model wait until they are kept."""

    def put(self, predictions: Sequence[Prediction]) -> None:
        """Take them, without waiting for anything."""

    async def durable(self, predictions: Sequence[Prediction]) -> None:
        """Take them, and return when they are kept."""


@dataclass(frozen=True)
class Kitchen:
    """What predictions are made with: who answers, where rows wait, and where the answers go.

    `batches` runs large requests one after another.
    """

    desk: Desk
    lane: Lane
    batches: Executor
    limits: Limits
    clock: Callable[[], datetime]
    tally: Tally
    sink: Sink | None = None


@dataclass
class Predictor:
    """Answers /predict and /invocations."""

    kitchen: Kitchen
    _readers: dict[int, tuple[ServedModel, Reader]] = field(default_factory=dict)
    _batches: int = 0

    async def predict(self, name: str, ask: Ask) -> Reply:
        """One row or many, in JSON, Arrow or Parquet."""
        return await self._answer(name, ask, decode_records, forms.to_json)

    async def invoke(self, name: str, ask: Ask) -> Reply:
        """The same for those who speak to MLflow's scoring server."""
        return await self._answer(name, ask, decode_invocation, forms.to_invocation)

    async def _answer(self, name: str, ask: Ask, decode: Decode, encode: Encode) -> Reply:
        model = self._served(name)
        kind = content_type(ask.headers)
        if kind != JSON:
            decode = _decoder_of(kind)
        if (wanted := content_type(ask.headers, b"accept")) in _ENCODERS:
            encode, kind = _ENCODERS[wanted], wanted
        else:
            kind = JSON
        order = _Order(model, self._reader(model), ask, decode, encode)
        predictions, body = await self._make(order)
        await self._keep(model.model, predictions)
        self.kitchen.tally.rows[model.model, model.version] += len(predictions)
        version = (b"x-evergreen-model-version", b"%d" % model.version)
        return Reply(body, content_type=kind, headers=(version,), model=model.model)

    async def _make(self, order: "_Order") -> tuple[list[Prediction], bytes]:
        kitchen = self.kitchen
        if len(order.ask.body) >= _LARGE_BYTES or order.table:
            return await self._apart(lambda: order.make(order.read(kitchen.limits), kitchen.clock))
        asked = order.read(kitchen.limits)
        if len(asked.rows) > kitchen.limits.single_rows:
            return await self._apart(lambda: order.make(asked, kitchen.clock))
        answers = await kitchen.lane.answer(order.model, asked.rows)
        return order.tell(asked, answers, kitchen.clock)

    async def _apart(self, make: "Callable[[], tuple[list[Prediction], bytes]]") -> tuple[list[Prediction], bytes]:
        """In the thread of the batches, after those that came before."""
        if self._batches >= self.kitchen.limits.batches:
            raise busy("too many batches are waiting")
        self._batches += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self.kitchen.batches, make)
        finally:
            self._batches -= 1

    async def _keep(self, model: str, predictions: list[Prediction]) -> None:
        sink = self.kitchen.sink
        if sink is None:
            return
        if not sink.is_durable(model):
            sink.put(predictions)
            return
        try:
            await sink.durable(predictions)
        except UnavailableError as error:
            raise not_kept("the prediction") from error

    def _served(self, name: str) -> ServedModel:
        desk = self.kitchen.desk
        if not name:
            names = desk.names
            if len(names) != 1:
                raise Refused(404, "which_model", "several models are served here; ask /models/{model}/predict")
            name = names[0]
        model = desk.get(name)
        if model is None:
            if name in desk.names:
                raise Refused(503, "not_ready", "no version of this model is loaded", headers=((b"retry-after", b"5"),))
            raise Refused(404, "unknown_model", "no model of this name is served here; GET /version names them")
        return model

    def _reader(self, model: ServedModel) -> Reader:
        """The compiled check of a version, made once."""
        found = self._readers.get(id(model))
        if found is not None and found[0] is model:
            return found[1]
        if len(self._readers) >= _READERS:
            self._readers.clear()
        reader = build_reader(model.columns, model.id_column)
        self._readers[id(model)] = (model, reader)
        return reader


@dataclass(frozen=True, slots=True)
class _Order:
    """A request, who answers it, and in which forms."""

    model: ServedModel
    reader: Reader
    ask: Ask
    decode: Decode
    encode: Encode

    @property
    def table(self) -> bool:
        """True for Arrow and Parquet, which are large whatever their size."""
        return self.decode in (decode_arrow, decode_parquet)

    def read(self, limits: Limits) -> Rows:
        """The rows that are asked for. Raises Refused."""
        asked = self.decode(self.reader, self.ask.body)
        if not isinstance(asked, Rows):
            raise _refusal(asked)
        if len(asked.rows) > limits.rows:
            raise Refused(413, "too_many_rows", f"a request has at most {limits.rows:,} rows; send them in parts")
        return asked

    def make(self, asked: Rows, clock: Callable[[], datetime]) -> tuple[list[Prediction], bytes]:
        """Everything at once, for a request that shares no call with others."""
        return self.tell(asked, self.model.engine.answer(asked.rows), clock)

    def tell(self, asked: Rows, answers: Answers, clock: Callable[[], datetime]) -> tuple[list[Prediction], bytes]:
        """What is captured, and what is said."""
        took = (perf_counter() - self.ask.began) * 1000
        predictions = predictions_of(self.model, asked, answers, Occasion(self.ask.id, clock(), took))
        return predictions, self.encode(self.model, self.ask.id, predictions, asked.single)


def _decoder_of(kind: bytes) -> Decode:
    decode = _TABLES.get(kind)
    if decode is None:
        said = "send application/json, application/vnd.apache.arrow.stream or application/vnd.apache.parquet"
        raise Refused(415, "content_type", said)
    return decode


def _refusal(problems: tuple[Problem, ...]) -> Refused:
    """400 for a body that is no request, 422 for rows that break a rule."""
    first = problems[0]
    return malformed(f"the body {first.why}") if first.rule == "body" else invalid(problems)
