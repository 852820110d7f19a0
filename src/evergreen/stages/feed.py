"""Live traffic on its way into a snapshot: labelled predictions, and what monitoring holds for broken."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from evergreen.data.traffic import Piece, TrafficReader
from evergreen.settings import Settings
from evergreen.spec.data import TrafficSource
from evergreen.spec.model import ModelSpec
from evergreen.store.labelled import LabelledTraffic
from evergreen.store.ledger import Ledger
from evergreen.store.quarantine import in_quarantine
from evergreen.store.windows import Windows

_EVER = datetime(1970, 1, 1, tzinfo=UTC)


def feed_of(spec: ModelSpec, settings: Settings) -> TrafficReader | None:
    """The reader of a spec's traffic; None where its source is another. Prepares a store that nobody has yet."""
    source = spec.data.source
    if not isinstance(source, TrafficSource):
        return None
    Ledger(settings.store_url).prepare()
    model = source.model or spec.model
    return TrafficReader(
        f"traffic of {model}", _Pieces(settings.store_url, model), spec.raw_inputs, names_rows_once(spec)
    )


def names_rows_once(spec: ModelSpec) -> bool:
    """True where the spec's schema says that two rows never have one id."""
    name = spec.data.id_column
    rules = spec.table.columns.get(name or "")
    return name is not None and (spec.table.unique_key == (name,) or (rules is not None and rules.unique))


@dataclass(frozen=True)
class _Pieces:
    url: str
    model: str

    def __call__(self, columns: Sequence[str], as_of: datetime, since: datetime | None) -> Iterator[Piece]:
        """See evergreen.data.traffic.PieceReader."""
        held = Windows(self.url).quarantined(self.model, since or _EVER, as_of, as_of)
        for chunk in LabelledTraffic(self.url).chunks(self.model, as_of, since, columns):
            answers = chunk.answers
            yield Piece(
                chunk.inputs,
                answers.column("row_id"),
                answers.column("at"),
                answers.column("label"),
                answers.column("complete"),
                in_quarantine(answers, held),
            )
