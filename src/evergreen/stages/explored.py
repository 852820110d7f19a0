"""Where labels come back only for some answers, a loss is counted on those whose outcome was found out in any case."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evergreen.store.captured import Captured
from evergreen.store.window import Signal

if TYPE_CHECKING:
    from evergreen.stages.look import Look


@dataclass(frozen=True, eq=False)
class Explored:
    """Explored answers that have a label, and of how many that could have one."""

    labelled: Captured
    answered: int

    def told(self, signal: Signal) -> Signal:
        """The loss that was counted on them, which says so."""
        why = f"{signal.why}; of explored answers alone, as labels depend on what was predicted"
        return replace(signal, why=why, details={**signal.details, "explored": self.labelled.rows})


def explored_alone(look: "Look", found: Captured, mature: Callable[[], Captured]) -> Explored | None:
    """What `representative` chooses of the labelled answers `found`, where these are explored ones; `mature` reads
    all that could have a label. None where labels do not depend on what was predicted, or too few explored ones are in.

    Labels that were asked for are no sign of selection: they are not counted anyhow.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from evergreen.monitoring.selection import label_selection, representative

    least = look.due.spec.monitoring.realised.min_labels
    if found.rows < least:
        return None
    came = found.answers.filter(pc.invert(found.answers["asked"]))
    if (pc.sum(came["explored"]).as_py() or 0) < least:
        return None
    every = mature().answers
    labelled = pc.is_in(every["id"], value_set=came["id"].combine_chunks())
    rows = every.select(["prediction", "version", "explored"]).to_pandas().assign(labelled=labelled.to_numpy())
    if look.due.spec.task == "regression":
        rows = rows.assign(prediction=rows["prediction"].astype("float64"))
    selection = label_selection(rows)
    if not selection.selective or selection.explored is None:
        return None
    names = every["id"].take(pa.array(representative(rows, selection, least).rows))
    chosen = pc.is_in(found.answers["id"], value_set=names.combine_chunks())
    inputs = found.inputs.filter(chosen) if found.inputs.num_columns else found.inputs
    return Explored(Captured(inputs, found.answers.filter(chosen)), selection.explored.rows)
