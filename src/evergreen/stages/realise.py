"""What came true of a champion's answers, since it took over."""

from datetime import datetime
from typing import TYPE_CHECKING

from evergreen.evaluation.baseline import Baseline
from evergreen.monitoring.estimate import Estimator
from evergreen.monitoring.realised import Labelling, realised_loss
from evergreen.settings import Settings
from evergreen.stages.monitor import Due
from evergreen.store.captured import Captured
from evergreen.store.traffic import Traffic, Written
from evergreen.store.window import Signal, SignalKind
from evergreen.store.windows import Windows

if TYPE_CHECKING:
    from evergreen.stages.look import Look

_ALL = 2**62


def realise(look: "Look", baseline: Baseline, metric: str, estimator: Estimator | None) -> Signal:
    """The realised loss of every answer that is old enough, labelled or not, with the labels that are in.

    Where no label came since the last window of this champion, what it said still holds: reading the answers of months
    again would tell nothing new.
    """
    due = look.due
    traffic, last = Traffic(look.settings.store_url), _last(due, look.settings)
    if last is not None and not traffic.has_labels(due.model, last[0]):
        return last[1]
    found, delay = _labelled(look, baseline, traffic), due.spec.data.label_delay
    now, looked_at = due.looked_at, last[0] if last else None
    ripe = traffic.cut(due.model, due.reigns, now - delay, due.champion.version, _ALL, Written(now))
    expected = estimator.expectation(look.frame_of(found), found.answers) if estimator and found.rows else None
    known = Labelling(max(ripe.rows, found.rows), delay, expected, looked_at)
    return realised_loss(found.answers, baseline.losses[metric], due.spec.monitoring.realised, metric, known)


def _last(due: Due, settings: Settings) -> tuple[datetime, Signal] | None:
    """What the last window said, and since when a label may be new to it."""
    windows = Windows(settings.store_url).last(due.model)
    signal = windows[0].signal(SignalKind.REALISED) if windows else None
    if signal is None or windows[0].version != due.champion.version:
        return None
    return windows[0].looked_at - due.spec.monitoring.grace, signal


def _labelled(look: "Look", baseline: Baseline, traffic: Traffic) -> Captured:
    due = look.due
    found = traffic.labelled(
        due.model, due.reigns, due.looked_at, due.looked_at, due.spec.data.label_delay, list(baseline.inputs.columns)
    )
    return look.of_champion(found)
