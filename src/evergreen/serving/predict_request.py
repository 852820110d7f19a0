"""A request to a model: how its rows are read, and in which form they are answered."""

from collections.abc import Callable
from datetime import datetime
from time import perf_counter
from typing import NamedTuple

from evergreen.serving.answers import Answered, Said, captured_of
from evergreen.serving.by_column import ByColumn
from evergreen.serving.explored import explored_of
from evergreen.serving.handles import Answers, Problem, ServedModel
from evergreen.serving.limits import Limits
from evergreen.serving.reader import Reader, Rows
from evergreen.serving.refused import Refused, invalid, malformed
from evergreen.serving.tables import decode_arrow, decode_parquet
from evergreen.serving.wire import Ask

Decode = Callable[..., Rows | tuple[Problem, ...]]
"""Takes a Reader, a body, and the most rows, as a few bytes may unfold to any number of them."""

Encode = Callable[[Said], bytes]

# A body from here on is read in the thread of the batches: reading it here would hold everybody up.
LARGE_BYTES = 65_536
# One array a column has many more rows in as many bytes, and what only the exact check reads takes 100 ms a 64 KB.
LARGE_COLUMNS_BYTES = 8_192
_TABLES = (decode_arrow, decode_parquet)


class PredictResponse(NamedTuple):
    """Who answered, what is captured, the bytes that it was asked in, what is said, when that was (aware, UTC), and how
    long it took.
    """

    model: ServedModel
    captured: Answered
    size: int
    body: bytes
    at: datetime
    latency_ms: float


class PredictRequest(NamedTuple):
    """A request, who answers it, and in which forms."""

    model: ServedModel
    reader: Reader
    ask: Ask
    decode: Decode
    encode: Encode

    @property
    def large(self) -> bool:
        """True for large bodies, and for Arrow and Parquet, which are large whatever their size."""
        body = self.ask.body
        bound = LARGE_COLUMNS_BYTES if b'"columns"' in body[:64] else LARGE_BYTES
        return len(body) >= bound or self.decode in _TABLES

    def read(self, limits: Limits) -> Rows:
        """The rows that are asked for. Raises Refused."""
        asked = self.decode(self.reader, self.ask.body, limits.rows)
        if not isinstance(asked, Rows):
            raise _refusal(asked)
        if len(asked.rows) > limits.rows:
            raise Refused(413, "too_many_rows", f"a request has at most {limits.rows:,} rows; send them in parts")
        return asked

    def make(self, asked: Rows, clock: Callable[[], datetime]) -> PredictResponse:
        """Everything at once, for a request that shares no call with others."""
        return self.tell(asked, self.model.engine.answer(asked.rows), clock)

    def tell(self, asked: Rows, answers: Answers, clock: Callable[[], datetime]) -> PredictResponse:
        """What is captured, and what is said."""
        took, at = (perf_counter() - self.ask.began) * 1000, clock()
        share = self.model.explore
        explored = explored_of(asked, self.ask.id, share) if share else None
        said = Said(self.model, self.ask.id, asked, answers, explored)
        return PredictResponse(self.model, captured_of(said, at, took), self.size(asked), self.encode(said), at, took)

    def size(self, asked: Rows) -> int:
        """Bytes of its body, or of what that unfolds to: a compressed table is many times its body."""
        rows = asked.rows
        return max(len(self.ask.body), rows.nbytes) if type(rows) is ByColumn else len(self.ask.body)


def _refusal(problems: tuple[Problem, ...]) -> Refused:
    """400 for a body that is no request, 413 for one of too many rows, 422 for rows that break a rule."""
    first = problems[0]
    if first.rule == "rows":
        return Refused(413, "too_many_rows", f"the body {first.why}")
    return malformed(f"the body {first.why}") if first.rule == "body" else invalid(problems)
