"""Whether the labels of a model's traffic are of all its answers alike."""

import logging
from datetime import datetime
from typing import TYPE_CHECKING

from evergreen.checks import Check, Outcome
from evergreen.settings import Settings
from evergreen.spec.data import TrafficSource
from evergreen.spec.model import ModelSpec
from evergreen.store.labelled import LabelledTraffic
from evergreen.store.ledger import Ledger

if TYPE_CHECKING:
    from evergreen.monitoring.selection import LabelSelection

log = logging.getLogger("evergreen.labels")

_READ = ("prediction", "version", "explored")


def measure_selection(spec: ModelSpec, as_of: datetime, settings: Settings) -> "LabelSelection | None":
    """How labels are spread over the predictions that a spec's source of traffic could learn from.

    None for another source, and where there is no prediction that is old enough for a label.
    """
    import pandas as pd
    import pyarrow as pa

    from evergreen.monitoring.selection import label_selection

    source = spec.data.source
    if not isinstance(source, TrafficSource):
        return None
    Ledger(settings.store_url).prepare()
    model, until = source.model or spec.model, pa.scalar(as_of - spec.data.label_delay, pa.timestamp("us", "UTC"))
    since = None if spec.data.window is None else as_of - spec.data.window
    parts = []
    for chunk in LabelledTraffic(settings.store_url).chunks(model, as_of, since, (), unlabelled=True):
        answers = chunk.answers.filter(pa.compute.less_equal(chunk.answers.column("at"), until))
        known = answers.column("label_at").is_valid().to_pandas()
        parts.append(answers.select(_READ).to_pandas().assign(labelled=known.to_numpy()))
    rows = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    if spec.task == "regression" and len(rows):
        rows = rows.assign(prediction=rows["prediction"].astype("float64"))
    return label_selection(rows) if len(rows) else None


def check_selection(spec: ModelSpec, as_of: datetime, settings: Settings) -> tuple[Check, ...]:
    """One check, which stops nothing, that labels are of all answers alike; none for a source that is no traffic."""
    from evergreen.monitoring.selection import LEAST_EFFECT

    found = measure_selection(spec, as_of, settings)
    if found is None:
        return ()
    log.info("labels      %s", found.said)
    outcome = Outcome.UNKNOWN if found.effect is None else Outcome.FAIL if found.selective else Outcome.PASS
    warned = "; what is learnt is of those answers (docs/traffic.md)" if found.selective else ""
    bound = f"Cramér's V ≤ {LEAST_EFFECT:g}"
    return (Check("labels are of all answers alike", outcome, found.effect, bound, f"{found.said}{warned}"),)
