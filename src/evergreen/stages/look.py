"""A look at a window of live traffic: its rows are read once, and every signal is made of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from evergreen.checks import Outcome
from evergreen.data.parse import TextRules
from evergreen.errors import UserError
from evergreen.monitoring.arrivals import Arrivals
from evergreen.monitoring.drift import measure_drift
from evergreen.monitoring.estimate import Estimator, estimate_loss, fit_estimator
from evergreen.monitoring.faults import find_faults
from evergreen.monitoring.frame import join_frames, to_frame, to_predictions
from evergreen.monitoring.health import judge_skew, look_at_health
from evergreen.monitoring.weights import importance_of_all
from evergreen.registry.baseline import fetch_baseline
from evergreen.settings import Settings
from evergreen.spec.columns import PREDICTION, ColumnType
from evergreen.stages.assess import read_profile, read_reference, with_derived
from evergreen.stages.monitor import Due, Seen, earlier_windows
from evergreen.stages.open import tracking_of
from evergreen.store.asked import Asked, Requests
from evergreen.store.captured import Captured, join
from evergreen.store.prediction import Role
from evergreen.store.traffic import Traffic
from evergreen.store.window import LATE, Signal, SignalKind

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from evergreen.drift.profile import Profile
    from evergreen.evaluation.baseline import Baseline


@dataclass(frozen=True, eq=False)
class Look:
    """The rows of a window: `frame` has what the champion was asked, `answers` beside it what it said.

    `every` says of the answers of challengers, too, which request they belong to and how long that took. `newest` are
    its newest rows as they were captured, `health.skew_sample` of them, in one or more pieces.
    """

    due: Due
    settings: Settings
    model: Any
    frame: "pd.DataFrame"
    answers: "pa.Table"
    every: "pa.Table"
    newest: tuple[Captured, ...] = ()

    @property
    def rows(self) -> int:
        """How many; a frame has none where all inputs are left out of capture."""
        return int(self.answers.num_rows)

    @property
    def enough(self) -> bool:
        """True where rows are compared with others: of fewer chance says most."""
        return self.rows >= self.due.spec.monitoring.min_rows

    @cached_property
    def profile(self) -> "Profile":
        """The champion's profile of its reference."""
        return read_profile(self.due.champion)

    @cached_property
    def asked(self) -> Asked | None:
        """What serving counted of the requests of the window's time; None where nobody did."""
        return Requests(self.settings.store_url).between(self.due.model, *self.due.counted)

    @cached_property
    def baseline(self) -> "tuple[Baseline | None, str]":
        """The champion on its holdout, or why it is not known."""
        cache = self.settings.home / "champions"
        return fetch_baseline(tracking_of(self.settings), self.due.champion, cache)

    def frame_of(self, captured: Captured) -> "pd.DataFrame":
        """Captured inputs as the champion's own pipeline reads them."""
        return _frame(captured, self.model, self.due)

    def of_champion(self, captured: Captured) -> Captured:
        """Rows that the champion answered as such."""
        return _of_champion(captured, self.due)

    def unknown(self, kind: SignalKind, why: str = "") -> Signal:
        """A signal that could not be told."""
        few = f"{self.rows:,} rows came, {self.due.spec.monitoring.min_rows:,} are needed"
        return Signal(kind, Outcome.UNKNOWN, why or few)


def look_at_window(due: Due, settings: Settings) -> Seen:
    """Every signal of a window. Raises UnavailableError where store or registry do not answer."""
    look, late = _read(due, settings)
    signals = (*_faults(look), *_drift(look), *_losses(look), *_health(look))
    return Seen(look.rows, late, signals)


def _read(due: Due, settings: Settings) -> tuple[Look, int]:
    from evergreen.registry.model import load

    model = load(tracking_of(settings), due.champion.source, due.champion.digest)
    frames, answers, every, late = [], [], [], 0
    newest: tuple[Captured, ...] = ()
    for chunk, is_late in _chunks(due, settings):
        ours = _of_champion(chunk, due)
        frames.append(_frame(ours, model, due))
        # What was asked is kept once.
        answers.append(ours.answers)
        every.append(chunk.answers.select(["request", "latency_ms"]))
        late += ours.rows if is_late else 0
        newest = _newest((*newest, ours), due.spec.monitoring.health.skew_sample)
    return Look(due, settings, model, join_frames(frames), _joined(answers), _joined(every), newest), late


def _newest(chunks: tuple[Captured, ...], rows: int) -> tuple[Captured, ...]:
    """The last rows of chunks, so many if there are."""
    kept: tuple[Captured, ...] = ()
    for chunk in reversed(chunks):
        start = max(chunk.rows - rows, 0)
        if start < chunk.rows:
            kept = (Captured(chunk.inputs.slice(start), chunk.answers.slice(start)), *kept)
            rows -= chunk.rows - start
    return kept


def _frame(captured: Captured, model: Any, due: Due) -> "pd.DataFrame":
    reads, left_out = model["read"], due.spec.serving.capture.leave_out
    types: dict[str, ColumnType] = {name: kind for name, kind in reads.types.items() if name not in left_out}
    return to_frame(captured, types, TextRules(reads.decimal, tuple(reads.null_values), reads.day_first))


def _chunks(due: Due, settings: Settings) -> Iterator[tuple[Captured, bool]]:
    """The rows of the window, and those of earlier ones that came too late for these; of every version and role."""
    traffic = Traffic(settings.store_url)
    if due.late is not None:
        for chunk in traffic.chunks(due.model, due.since - LATE, due.since, written=due.late):
            yield chunk, True
    for chunk in traffic.chunks(due.model, due.since, due.until, written=due.written):
        yield chunk, False


def _of_champion(chunk: Captured, due: Due) -> Captured:
    import pyarrow.compute as pc

    version, role = chunk.answers["version"], chunk.answers["role"]
    ours = pc.and_(pc.equal(version, due.champion.version), pc.equal(role, Role.CHAMPION.value))
    inputs = chunk.inputs.filter(ours) if chunk.inputs.num_columns else chunk.inputs
    return Captured(inputs, chunk.answers.filter(ours))


def _joined(answers: "list[pa.Table]") -> "pa.Table":
    import pyarrow as pa

    return join([Captured(pa.table({}), each) for each in answers]).answers


def _faults(look: Look) -> tuple[Signal, ...]:
    due = look.due
    arrivals = Arrivals.of(look.answers, due.since, due.until)
    return find_faults(look.frame, due.spec, look.profile, arrivals, earlier_windows(due, look.settings), look.asked)


def _drift(look: Look) -> tuple[Signal, ...]:
    if not look.enough:
        return look.unknown(SignalKind.INPUT_DRIFT), look.unknown(SignalKind.PREDICTION_DRIFT)
    due, baseline = look.due, look.baseline[0]
    rules, spec = due.spec.monitoring, due.spec
    inputs = [*spec.compared_sources, *spec.compared_derived]
    watched = [name for name in inputs if name not in spec.serving.capture.leave_out]
    return measure_drift(
        _compared(look),
        read_reference(due.champion),
        look.profile,
        {**dict.fromkeys(watched, "input"), PREDICTION: "prediction"},
        importance_of_all(baseline.importance if baseline else {}, spec.features.derive, spec.data.time_column),
        rules.drift,
        rules.seed,
    )


def _compared(look: Look) -> "pd.DataFrame":
    """The rows with what the champion derives from them, as far as it can, and what it said."""
    classes = [str(name) for name in getattr(look.model, "classes_", ())]
    frame, known = look.frame, look.profile.columns.get(PREDICTION)
    said = None if known is None else to_predictions(look.answers, classes, known.type)
    if set(look.model["read"].types) <= set(frame.columns):
        frame = with_derived(frame, look.model, look.due.spec.compared_derived)
    return frame if said is None else frame.assign(**{PREDICTION: said})


def _losses(look: Look) -> tuple[Signal, ...]:
    baseline, why = look.baseline
    if baseline is None:
        return look.unknown(SignalKind.ESTIMATE, why), look.unknown(SignalKind.REALISED, why)
    from evergreen.monitoring.answered import loss_metric
    from evergreen.stages.realise import realise

    rules = look.due.spec.monitoring
    metric = loss_metric(rules.realised.metric, baseline)
    if metric not in baseline.losses:
        why = f"the champion has no {metric} on its holdout"
        return look.unknown(SignalKind.ESTIMATE, why), look.unknown(SignalKind.REALISED, why)
    fitted = fit_estimator(baseline, metric, list(look.frame.columns), rules.seed)
    realised = realise(look, baseline, metric, fitted if isinstance(fitted, Estimator) else None)
    if not look.enough:
        return look.unknown(SignalKind.ESTIMATE), realised
    return estimate_loss(fitted, look.frame, look.answers, rules.realised.margin), realised


def _health(look: Look) -> tuple[Signal, ...]:
    due = look.due
    found = look_at_health(look.every, look.asked, due.champion.trained_until, due.spec, due.looked_at)
    return (*found, _skew(look))


def _skew(look: Look) -> Signal:
    from evergreen.stages.skew import replay

    due = look.due
    if not due.spec.monitoring.health.skew_sample:
        return judge_skew(0, 0, 0.0, "monitoring.health.skew_sample is 0: no row is answered again")
    if not look.newest:
        return judge_skew(0, 0, 0.0)
    try:
        found = replay(due.model, due.champion.version, join(look.newest), look.model)
    except UserError as error:
        return judge_skew(0, 0, 0.0, str(error))
    return judge_skew(found.rows, found.equal, found.difference)
