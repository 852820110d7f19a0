"""One small row for a model that answers it within microseconds: answered where it comes in, without a task.

What is left out is only ever the way. Whatever is out of the ordinary, and be it an error, goes the long way, by which
everything is answered: what is refused, and why, is said there alone.
"""

import logging
from collections.abc import Callable
from time import perf_counter

from evergreen.serving.answers import to_json
from evergreen.serving.decode import decode_records, decode_single
from evergreen.serving.engine import CompiledEngine
from evergreen.serving.handles import ServedModel
from evergreen.serving.keys import Scope
from evergreen.serving.predict import TABLES, Predictor, predicted
from evergreen.serving.predict_request import PredictRequest
from evergreen.serving.refused import Refused
from evergreen.serving.security import Guard, Headers
from evergreen.serving.single import Single
from evergreen.serving.wire import JSON, Ask, Pairs, Reply, content_type

log = logging.getLogger("evergreen.serving")

PREDICT = "predict"
_LAST, _FIRST = f"/{PREDICT}".encode(), b"/models/"

# A row of a few hundred fields.
MOST_BYTES = 8_192


class Shortcut:
    """Answers requests of one row, of at most so many bytes, to a model of few operations. `ids` names requests."""

    def __init__(
        self, predictor: Predictor, guard: Guard, ids: Callable[[], str], most_bytes: int = MOST_BYTES
    ) -> None:
        self._predictor, self._guard, self._ids = predictor, guard, ids
        self._most = min(MOST_BYTES, most_bytes)
        self._said: set[str] = set()

    def leads(self, path: bytes) -> bool:
        """True where a request to a path may be answered here, given the rest of it."""
        return path == _LAST or (path.startswith(_FIRST) and path.endswith(_LAST))

    def answer(self, path: bytes, headers: Pairs, body: bytes, client: object) -> tuple[Reply, str] | None:
        """The answer and the name of its request; None for what has to go the long way, and nothing was done for it."""
        if len(body) > self._most:
            return None
        try:
            found = self._found(path)
            return None if found is None else self._answer(*found, dict(headers), body, client)
        except Refused:
            return None
        except Exception as error:
            # What is wrong with the request, or the model, is met again on the long way. What is wrong here is not.
            self._say(type(error).__name__)
            return None

    def _answer(
        self, model: ServedModel, single: Single, headers: Headers, body: bytes, client: object
    ) -> tuple[Reply, str] | None:
        began = perf_counter()
        if content_type(headers) != JSON or content_type(headers, b"accept") in TABLES:
            return None
        self._guard.admit(headers, client, Scope.PREDICT)
        asked = decode_single(model.reader, body)
        if asked is None:
            return None
        ask, read = Ask(self._ids(), headers, body, began), perf_counter()
        answers = single(asked.rows[0])
        seconds, predictor = perf_counter() - read, self._predictor
        request = PredictRequest(model, model.reader, ask, decode_records, to_json)
        made = request.tell(asked, answers, predictor.contest.clock)
        found, tally = (predicted(made), ask.id), predictor.tally
        tally.call(1, 1, seconds)
        tally.rows[model.model, model.version] += 1
        tally.request(PREDICT, model.model, 200, perf_counter() - began)
        if predictor.sink is not None:
            # The last: what is captured has been answered, once.
            predictor.sink.put(made.captured, made.size)
        return found

    def _say(self, what: str) -> None:
        if what not in self._said:
            self._said.add(what)
            log.warning("shortcut    %s: such requests go the long way; later ones are not said", what)

    def _found(self, path: bytes) -> tuple[ServedModel, Single] | None:
        """The champion that is asked, where nobody else answers, nothing is watched, and no store is waited for."""
        predictor = self._predictor
        if self._guard.counts:
            return None
        names = predictor.loaded.names
        name = path[len(_FIRST) : -len(_LAST)].decode() if path != _LAST else names[0] if len(names) == 1 else ""
        place = predictor.loaded.place(name)
        if place is None or place.champion is None or place.challenger is not None:
            return None
        model, sink = place.champion, predictor.sink
        engine = model.engine
        if not isinstance(engine, CompiledEngine) or engine.single is None:
            return None
        if predictor.contest.trials.watching(model) is not None:
            return None
        if sink is not None and (sink.is_durable(name) or not sink.has_room(1, MOST_BYTES)):
            return None
        return model, engine.single
