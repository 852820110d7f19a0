"""From the bytes of a request to those of its answer."""

from dataclasses import dataclass
from typing import Protocol

from evergreen.errors import UnavailableError
from evergreen.serving import answers as forms
from evergreen.serving.answers import ARROW, PARQUET, Answered
from evergreen.serving.contest import Contest
from evergreen.serving.decode import decode_invocation, decode_records
from evergreen.serving.handles import ServedModel
from evergreen.serving.loaded import LoadedModels
from evergreen.serving.metrics import Tally
from evergreen.serving.predict_request import Decode, Encode, PredictRequest, PredictResponse
from evergreen.serving.refused import Refused, not_kept
from evergreen.serving.tables import decode_arrow, decode_parquet
from evergreen.serving.wire import JSON, Ask, Reply, content_type

_TABLES: dict[bytes, Decode] = {ARROW: decode_arrow, PARQUET: decode_parquet}
_ENCODERS: dict[bytes, Encode] = {ARROW: forms.to_arrow, PARQUET: forms.to_parquet}
TABLES = frozenset(_ENCODERS)
"""Forms of answers that are no JSON."""


class Sink(Protocol):
    """Where predictions are captured; evergreen.serving.capture.Capture is."""

    def has_room(self, rows: int, size: int) -> bool:
        """True where so many are taken at once."""

    def put(self, predictions: Answered, size: int) -> None:
        """Take them, where there is room, and wait for nothing; `size` are the bytes that they were asked in."""

    def is_durable(self, model: str) -> bool:
        """True where answers of the model wait until they are kept."""

    async def offer(self, predictions: Answered, size: int) -> None:
        """Take them, and wait for nothing but room for them."""

    async def durable(self, predictions: Answered, size: int) -> None:
        """Take them, and return when they are kept."""


@dataclass(frozen=True)
class Predictor:
    """Answers /predict and /invocations: of whom, by whom, and where the answers are captured."""

    loaded: LoadedModels
    contest: Contest
    tally: Tally
    sink: Sink | None = None

    async def predict(self, name: str, ask: Ask) -> Reply:
        """One row or many, in JSON, Arrow or Parquet."""
        return await self._answer(name, ask, decode_records, forms.to_json)

    async def invoke(self, name: str, ask: Ask) -> Reply:
        """The same for those who speak to MLflow's scoring server."""
        return await self._answer(name, ask, decode_invocation, forms.to_invocation)

    async def _answer(self, name: str, ask: Ask, decode: Decode, encode: Encode) -> Reply:
        champion, challenger = self._asked(name)
        kind = content_type(ask.headers)
        if kind != JSON:
            decode = _decoder_of(kind)
        if (wanted := content_type(ask.headers, b"accept")) in _ENCODERS:
            encode, kind = _ENCODERS[wanted], wanted
        else:
            kind = JSON
        request = PredictRequest(champion, champion.reader, ask, decode, encode)
        rival = None
        if challenger is not None:
            rival = request._replace(model=challenger, reader=challenger.reader)
        made = await self.contest.make(request, rival)
        model = made.model
        await self._keep(made)
        self.tally.rows[model.model, model.version] += len(made.captured)
        return predicted(made, kind)

    async def _keep(self, made: PredictResponse) -> None:
        sink = self.sink
        if sink is None:
            return
        if not sink.is_durable(made.model.model):
            await sink.offer(made.captured, made.size)
            return
        try:
            await sink.durable(made.captured, made.size)
        except UnavailableError as error:
            raise not_kept("the prediction") from error

    def _asked(self, name: str) -> tuple[ServedModel, ServedModel | None]:
        """Champion and challenger of a model, as of one moment. Raises Refused where nobody answers."""
        loaded = self.loaded
        if not name:
            names = loaded.names
            if not names:
                raise _not_ready("no model has a champion yet")
            if len(names) != 1:
                raise Refused(404, "which_model", "several models are served here; ask /models/{model}/predict")
            name = names[0]
        place = loaded.place(name)
        if place is None or place.champion is None:
            if name in loaded.names:
                raise _not_ready("no version of this model is loaded")
            raise Refused(404, "unknown_model", "no model of this name is served here; GET /version names them")
        return place.champion, place.challenger


def predicted(made: PredictResponse, kind: bytes = JSON) -> Reply:
    """The answer with predictions of a version."""
    version = (b"x-evergreen-model-version", b"%d" % made.model.version)
    return Reply(made.body, content_type=kind, headers=(version,), model=made.model.model)


def _not_ready(why: str) -> Refused:
    return Refused(503, "not_ready", why, headers=((b"retry-after", b"5"),))


def _decoder_of(kind: bytes) -> Decode:
    decode = _TABLES.get(kind)
    if decode is None:
        said = "send application/json, application/vnd.apache.arrow.stream or application/vnd.apache.parquet"
        raise Refused(415, "content_type", said)
    return decode
