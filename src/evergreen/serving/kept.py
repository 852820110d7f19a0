"""What of a model's answers is kept."""

import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from evergreen.serving.answers import Answered
from evergreen.serving.handles import Prediction
from evergreen.spec import ModelSpec
from evergreen.store.block import Block

_ALL = 2**32


@dataclass(frozen=True)
class Kept:
    """A share of the rows, without some of their fields; `names_rows` is False where the caller's id goes too."""

    share: float = 1.0
    leave_out: Collection[str] = ()
    names_rows: bool = True
    durable: bool = False

    def takes(self, prediction: Prediction) -> bool:
        """True where a prediction is in the share, whoever answers and wherever: by the caller's name of its row, so
        that the newest kept request of a row is its newest one, and by its request, as a whole, where it has none.

        What was answered for the sake of its label is always kept.
        """
        if self.share >= 1 or prediction.explored:
            return True
        return self._takes(prediction.request if prediction.row_id is None else prediction.row_id)

    def _takes(self, name: str) -> bool:
        return zlib.crc32(name.encode()) < self.share * _ALL

    def chosen(self, block: Block) -> Block | None:
        """The rows of a block that are in the share, by the same names, or explored; None where none is."""
        if self.share >= 1:
            return block
        if block.row_ids is None and block.explored is None:
            return block if self._takes(block.request) else None
        names: Sequence[str | None] = block.row_ids or [None] * len(block)
        explored = block.explored or [False] * len(block)
        named = enumerate(zip(names, explored, strict=True))
        taken = [place for place, (name, marked) in named if marked or self._takes(name or block.request)]
        return block if len(taken) == len(block) else block.take(taken) if taken else None

    def strip(self, prediction: Prediction) -> Prediction:
        """The prediction without what is never kept."""
        if self.names_rows and not self.leave_out:
            return prediction
        inputs = {name: value for name, value in prediction.inputs.items() if name not in self.leave_out}
        return replace(prediction, inputs=inputs, row_id=prediction.row_id if self.names_rows else None)

    def strip_block(self, block: Block) -> Block:
        """The same of a block."""
        if self.names_rows and not self.leave_out:
            return block
        inputs = {name: field for name, field in block.inputs.items() if name not in self.leave_out}
        return replace(block, inputs=inputs, row_ids=block.row_ids if self.names_rows else None)


KEEP_ALL = Kept()


@dataclass(frozen=True)
class Rules:
    """What is kept, by version where it was said for one, else by model; everything of a model without rules.

    A version that was just replaced still has answers under way: what it leaves out stays left out.
    """

    models: Mapping[str, Kept] = field(default_factory=dict)
    versions: Mapping[tuple[str, int], Kept] = field(default_factory=dict)

    def of(self, prediction: Prediction | Block) -> Kept:
        """The rules for a prediction, or for those of a block."""
        found = self.versions.get((prediction.model, prediction.version))
        return self.models.get(prediction.model, KEEP_ALL) if found is None else found

    def choose(self, predictions: Answered) -> Answered:
        """Those in the share."""
        if isinstance(predictions, Block):
            return self.of(predictions).chosen(predictions) or ()
        return [p for p in predictions if self.of(p).takes(p)]

    def strip(self, predictions: Answered) -> Sequence[Prediction | Block]:
        """The same without what is never kept."""
        if isinstance(predictions, Block):
            return [self.of(predictions).strip_block(predictions)]
        return [self.of(p).strip(p) for p in predictions]

    def follow(self, model: str, kept: Kept, version: int | None) -> "Rules":
        """The rules with others for a model, which are those of a version of it where one is named."""
        versions = self.versions if version is None else {**self.versions, (model, version): kept}
        return Rules({**self.models, model: kept}, versions)


def kept_of(spec: ModelSpec) -> Kept:
    """What a spec says of its model's answers."""
    rules = spec.serving.capture
    leave_out = frozenset(rules.leave_out)
    return Kept(rules.share, leave_out, spec.data.id_column not in leave_out, rules.durable)
