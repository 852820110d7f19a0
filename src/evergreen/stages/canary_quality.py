"""Canaries: what came true of the answers of both sides, as losses that the verdict reads."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from evergreen.evaluation.baseline import row_losses
from evergreen.evaluation.totals import Losses, Totals
from evergreen.gate.canary import Side
from evergreen.monitoring.answered import read_answers
from evergreen.spec.canary import CanaryMetric
from evergreen.store.canary import Canaries, Canary
from evergreen.store.prediction import Role
from evergreen.store.traffic import Traffic

if TYPE_CHECKING:
    import pyarrow as pa

PROCESS = "labels"
# All labelled answers of the trial are read each time.
_AT_MOST_EVERY = timedelta(minutes=1)


def observe_quality(canary: Canary, canaries: Canaries, now: datetime) -> None:
    """Count the losses of both sides since the trial began, and of a promotion that is watched, with what is known now.

    They are of the answers as they were served. Labels that were counted already are not read again.
    """
    rules = canary.rules.quality
    if rules is None or not _is_due(canary, canaries, now):
        return
    answers = _labelled(canary, canaries.url, now)
    if not answers.num_rows:
        return
    for side, totals in _totals(answers, canary, rules.metric).items():
        if totals.losses.count:
            canaries.observe(canary.decision_id, side, PROCESS, totals, now)


def _is_due(canary: Canary, canaries: Canaries, now: datetime) -> bool:
    last = canaries.counted_at(canary.decision_id, PROCESS)
    if last is not None and now - last < _AT_MOST_EVERY:
        return False
    # A label may be written by one clock and looked for by another.
    since = canary.since if last is None else last - _AT_MOST_EVERY
    return Traffic(canaries.url).has_labels(canary.model, since)


def _labelled(canary: Canary, url: str, now: datetime) -> "pa.Table":
    found = Traffic(url).labelled(canary.model, canary.since, now, now, columns=())
    return found.answers


def _totals(answers: "pa.Table", canary: Canary, metric: CanaryMetric) -> dict[Side, Totals]:
    """Losses of the trial's sides, in a shadow of the requests that both were asked; and since the promotion."""
    champion, challenger = (
        _losses(_of(answers, version, role), metric)
        for version, role in ((canary.champion, Role.CHAMPION), (canary.challenger, Role.CHALLENGER))
    )
    gaps = Losses()
    if canary.rules.kind == "shadow":
        both = champion.keys() & challenger.keys()
        champion, challenger = ({name: side[name] for name in both} for side in (champion, challenger))
        gaps = Losses.of([challenger[name] - champion[name] for name in both])
    totals = {
        Side.CHAMPION: Totals(losses=Losses.of(list(champion.values()))),
        Side.CHALLENGER: Totals(losses=Losses.of(list(challenger.values())), gaps=gaps),
    }
    if canary.until is None:
        return totals
    promoted = _losses(_of(answers, canary.challenger, Role.CHAMPION, canary.until), metric)
    return {Side.WATCHED: Totals(losses=Losses.of(list(promoted.values())))}


def _of(answers: "pa.Table", version: int, role: Role, since: datetime | None = None) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.compute as pc

    kept = pc.and_(pc.equal(answers["version"], version), pc.equal(answers["role"], role.value))
    if since is not None:
        kept = pc.and_(kept, pc.greater_equal(answers["at"], pa.scalar(since, pa.timestamp("us", "UTC"))))
    return answers.filter(kept)


def _losses(answers: "pa.Table", metric: CanaryMetric) -> dict[str, float]:
    """The loss of every answer by its id; without those that have none, as its probabilities were not captured."""
    import numpy as np

    if not answers.num_rows:
        return {}
    losses = row_losses(read_answers(answers, metric == "mae"), metric)
    names = answers["id"].to_pylist()
    return {name: float(loss) for name, loss in zip(names, losses, strict=True) if np.isfinite(loss)}
