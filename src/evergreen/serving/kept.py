"""What of a model's answers is kept."""

import zlib
from collections.abc import Collection
from dataclasses import dataclass, replace

from evergreen.serving.handles import Prediction
from evergreen.spec import ModelSpec

_ALL = 2**32


@dataclass(frozen=True)
class Kept:
    """A share of the requests, without some of their fields; `names_rows` is False where the caller's id goes too."""

    share: float = 1.0
    leave_out: Collection[str] = ()
    names_rows: bool = True
    durable: bool = False

    def takes(self, prediction: Prediction) -> bool:
        """True where a prediction is in the share. A request is in it as a whole, whoever answers and wherever.

        What was answered for the sake of its label is always kept.
        """
        if self.share >= 1 or prediction.explored:
            return True
        return zlib.crc32(prediction.request.encode()) < self.share * _ALL

    def strip(self, prediction: Prediction) -> Prediction:
        """The prediction without what is never kept."""
        if self.names_rows and not self.leave_out:
            return prediction
        inputs = {name: value for name, value in prediction.inputs.items() if name not in self.leave_out}
        return replace(prediction, inputs=inputs, row_id=prediction.row_id if self.names_rows else None)


KEEP_ALL = Kept()


def kept_of(spec: ModelSpec) -> Kept:
    """What a spec says of its model's answers."""
    rules = spec.serving.capture
    leave_out = frozenset(rules.leave_out)
    return Kept(rules.share, leave_out, spec.data.id_column not in leave_out, rules.durable)
