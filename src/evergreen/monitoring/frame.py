"""Captured rows as the canonical frame that training, validation and drift read."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from evergreen.data.parse import TextRules
from evergreen.spec.columns import PREDICTION, ColumnType
from evergreen.store.captured import Captured

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_CHANCE = "probability_"


def to_frame(captured: Captured, types: Mapping[str, ColumnType], rules: TextRules | None = None) -> "pd.DataFrame":
    """The inputs of captured rows, canonical, in the order of `types`; those that were never captured are not there.

    Moments are read from the text that JSON has for them, and every null is one null, as training reads its source.

    >>> import pyarrow as pa
    >>> inputs = pa.table({"plan": [None, "pro"], "since": ["2026-03-01T00:00:00Z", None]})
    >>> rows = Captured(inputs, pa.table({"id": ["a", "b"]}))
    >>> to_frame(rows, {"since": "datetime", "plan": "category", "price": "number"}).dtypes.astype(str).to_dict()
    {'since': 'datetime64[us]', 'plan': 'category'}
    """
    from evergreen.data.frame import canonical_frame

    there = {name: kind for name, kind in types.items() if name in captured.inputs.column_names}
    return canonical_frame(captured.inputs.select(list(there)).to_pandas(), there, rules)


def join_frames(frames: Sequence["pd.DataFrame"]) -> "pd.DataFrame":
    """Canonical frames one after another, with the columns that all of those have which have rows."""
    import pandas as pd

    filled = [frame for frame in frames if len(frame)] or list(frames[:1])
    if not filled:
        return pd.DataFrame()
    names = [name for name in filled[0].columns if all(name in frame.columns for frame in filled)]
    categories = {
        name: sorted({label for frame in filled for label in frame[name].cat.categories})
        for name in names
        if isinstance(filled[0][name].dtype, pd.CategoricalDtype)
    }
    dtypes = {name: pd.CategoricalDtype(pd.Index(labels, dtype="str")) for name, labels in categories.items()}
    return pd.concat([frame[names].astype(dtypes) for frame in filled], ignore_index=True)


def to_predictions(answers: "pa.Table", classes: Sequence[str], kind: ColumnType) -> "pd.Series":
    """What was answered as the one column that drift compares: of two classes the probability of the second.

    `classes` are those of the version that answered, in its order; none of a regression. `kind` is the type that the
    answers have in its profile. Of two classes without probabilities, which nobody captured, all are null.
    """
    import pandas as pd

    from evergreen.data.frame import canonical_frame

    if len(classes) == 2:
        name = f"{_CHANCE}{classes[1]}"
        values = answers.column(name).to_pandas() if name in answers.column_names else [None] * answers.num_rows
    else:
        values = answers.column("prediction").to_pandas()
    raw = pd.DataFrame({PREDICTION: values})
    return canonical_frame(raw, {PREDICTION: kind})[PREDICTION]
