"""What came true of a champion's answers, since it took over."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from evergreen.evaluation.baseline import Baseline
from evergreen.monitoring.estimate import Estimator
from evergreen.monitoring.realised import Labelling, copied, realised_loss
from evergreen.settings import Settings
from evergreen.stages.explored import explored_alone
from evergreen.stages.monitor import Due
from evergreen.store.captured import Captured, join
from evergreen.store.quarantine import Held, in_quarantine
from evergreen.store.traffic import Traffic, Written
from evergreen.store.window import Signal, SignalKind
from evergreen.store.windows import Windows

if TYPE_CHECKING:
    from evergreen.stages.look import Look

_ALL = 2**62


def realise(look: "Look", baseline: Baseline, metric: str, estimator: Estimator | None) -> Signal:
    """The realised loss of every answer that is old enough, labelled or not, with the labels that are in.

    Answers of windows in quarantine are left out: what a broken feed cost is no reason to retrain. Where no label came
    since the last window of this champion, and none that was there has become old enough, what it said still holds:
    reading the answers of months again would tell nothing new. It is marked as a copy, which is no news.
    """
    due = look.due
    traffic, last = Traffic(look.settings.store_url), _last(due, look.settings)
    if last is not None and not _has_new(due, traffic, last[0]):
        return copied(last[1])
    held = Windows(look.settings.store_url).quarantined(due.model, due.reigns, due.looked_at)
    found, delay = _labelled(look, baseline, traffic, held), due.spec.data.label_delay
    rules, alone = due.spec.monitoring.realised, None
    if due.spec.serving.explore.share:
        # Two series of labels may be judged, all and the explored ones: each has half of the error.
        rules = rules.model_copy(update={"confidence": (1 + rules.confidence) / 2})
        alone = explored_alone(look, found, lambda: _outside(_mature(look, traffic), held))
    if alone is not None:
        found = alone.labelled
    expected = estimator.expectation(look.frame_of(found), found.answers) if estimator and found.rows else None
    answered = alone.answered if alone else max(_count(due, traffic, due.looked_at - delay, held), found.rows)
    known = Labelling(answered, delay, expected, last[0] if last else None)
    signal = realised_loss(found.answers, baseline.losses[metric], rules, metric, known)
    return signal if alone is None else alone.told(signal)


def _last(due: Due, settings: Settings) -> tuple[datetime, Signal] | None:
    """What the last window said, and since when a label may be new to it."""
    windows = Windows(settings.store_url).last(due.model)
    signal = windows[0].signal(SignalKind.REALISED) if windows else None
    # A version that was rolled back to begins anew.
    if signal is None or windows[0].version != due.champion.version or windows[0].since < due.reigns:
        return None
    return windows[0].looked_at - due.spec.monitoring.grace, signal


def _has_new(due: Due, traffic: Traffic, since: datetime) -> bool:
    """True where a label came since then, or one that came before may be looked at since then."""
    if traffic.has_labels(due.model, since):
        return True
    delay, now = due.spec.data.label_delay, due.looked_at
    return bool(delay) and traffic.labelled(due.model, max(due.reigns, since - delay), now, now, delay, ()).rows > 0


def _count(due: Due, traffic: Traffic, until: datetime, held: Sequence[Held]) -> int:
    """Answers of the champion until a moment, but for those in quarantine."""
    known = Written(due.looked_at)

    def rows(begin: datetime, end: datetime, written: Written) -> int:
        return traffic.cut(due.model, begin, end, due.champion.version, _ALL, written).rows

    left_out = sum(
        rows(max(each.since, due.reigns), min(each.until, until), each.written or known)
        for each in held
        if each.since < until
    )
    return rows(due.reigns, until, known) - left_out


def _labelled(look: "Look", baseline: Baseline, traffic: Traffic, held: Sequence[Held]) -> Captured:
    due = look.due
    found = traffic.labelled(
        due.model, due.reigns, due.looked_at, due.looked_at, due.spec.data.label_delay, list(baseline.inputs.columns)
    )
    return _outside(look.of_champion(found), held)


def _mature(look: "Look", traffic: Traffic) -> Captured:
    """Every answer of the champion that is old enough for a label, without its inputs."""
    due = look.due
    until = due.looked_at - due.spec.data.label_delay + timedelta(microseconds=1)
    return look.of_champion(join(traffic.chunks(due.model, due.reigns, until, columns=())))


def _outside(found: Captured, held: Sequence[Held]) -> Captured:
    """Rows that are not in quarantine."""
    import pyarrow.compute as pc

    if not held or not found.rows:
        return found
    kept = pc.invert(in_quarantine(found.answers, held))
    inputs = found.inputs.filter(kept) if found.inputs.num_columns else found.inputs
    return Captured(inputs, found.answers.filter(kept))
