"""Is what serving computed what training computes? Captured rows are answered again by the version's own pipeline."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evergreen.errors import IntegrityError, UserError
from evergreen.registry.handles import Champion
from evergreen.registry.versions import Registry
from evergreen.settings import Settings
from evergreen.stages.open import connect, read_spec, tracking_of
from evergreen.store.ledger import Ledger
from evergreen.store.traffic import Captured, Traffic

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE = 1e-9
_SHOWN = 5


@dataclass(frozen=True)
class Differing:
    """A captured row that is answered otherwise now."""

    id: str
    served: Any
    replayed: Any
    difference: float


@dataclass(frozen=True)
class Skew:
    """What a version served beside what its pipeline says to the same inputs.

    `difference` is the largest of any number: absolute below 1, relative above, infinite where a label differs.
    `first` are the first rows that differ. `problem` is why nothing was measured, empty where something was.
    """

    version: int
    rows: int
    equal: int
    difference: float
    first: tuple[Differing, ...] = ()
    problem: str = ""

    @property
    def found(self) -> bool:
        """True where any row differs, as far as that was measured."""
        return not self.problem and self.equal < self.rows


def measure_skew(name: str, rows: int, settings: Settings) -> tuple[Skew, ...]:
    """Replay the newest captured rows of a spec's model, at least so many if there are, by version.

    A version that is gone, or of which not all is captured that its pipeline reads, is told of beside the others.
    Raises UserError where nothing was captured or none can be measured; IntegrityError where an artifact is not the one
    that the ledger decided on.
    """
    spec = read_spec(name, settings)
    _, ledger = connect(settings)
    captured = Traffic(settings.store_url).newest_by_version(spec.model, rows)
    if not captured:
        raise UserError(f"{spec.model}: no prediction is captured; serve it first, and see docs/traffic.md")
    found = tuple(_try(spec.model, version, mine, ledger, settings) for version, mine in captured.items())
    if all(each.problem for each in found):
        raise UserError(found[0].problem)
    return found


def _try(model: str, version: int, captured: Captured, ledger: Ledger, settings: Settings) -> Skew:
    try:
        return _measure(model, version, captured, ledger, settings)
    except UserError as error:
        return Skew(version, captured.rows, 0, 0.0, problem=str(error))


def _measure(model: str, version: int, captured: Captured, ledger: Ledger, settings: Settings) -> Skew:
    from evergreen.registry.model import load

    recorded = _known(Registry(tracking_of(settings)).version(model, version), ledger)
    return replay(model, version, captured, load(tracking_of(settings), recorded.source, recorded.digest))


def replay(model: str, version: int, captured: Captured, pipeline: Any) -> Skew:
    """Captured answers of a version beside those of its pipeline now.

    Raises UserError where not all is captured that the pipeline reads.
    """
    from evergreen.evaluation.predict import ask

    answers, inputs = captured.answers.to_pandas(), captured.inputs.to_pandas()
    missing = [name for name in pipeline["read"].types if name not in inputs.columns]
    if missing:
        raise UserError(
            f"{model}: {missing[0]!r} is not captured, so nothing can be replayed; "
            "take it out of serving.capture.leave_out"
        )
    return compare(version, answers, ask(pipeline, inputs))


def _known(recorded: Champion, ledger: Ledger) -> Champion:
    decided = {entry.model_digest for entry in ledger.about(recorded.model, recorded.version)}
    if recorded.digest not in decided:
        raise IntegrityError(
            f"version {recorded.version} of {recorded.model} is not the artifact that the ledger decided on; "
            f"it is not loaded. evergreen audit {recorded.model}"
        )
    return recorded


def compare(version: int, served: "pd.DataFrame", replayed: Any) -> Skew:
    """Answers as they were captured beside those of now, row by row."""
    import numpy as np

    if replayed.classes:
        again = np.asarray([str(label) for label in replayed.predicted], dtype=object)
        apart = np.where(served["prediction"].astype(str).to_numpy(dtype=object) == again, 0.0, np.inf)
    else:
        again = np.asarray(replayed.predicted, dtype=np.float64)
        apart = _apart(served["prediction"].to_numpy(dtype=np.float64), again)
    if replayed.probabilities is not None:
        for name, column in zip(replayed.classes, replayed.probabilities.T, strict=True):
            given = served.get(f"probability_{name}")
            if given is not None:
                apart = np.maximum(apart, _apart(given.to_numpy(dtype=np.float64), column))
    differing = np.flatnonzero(apart > TOLERANCE)
    first = tuple(
        Differing(served["id"].iloc[row], served["prediction"].iloc[row], again[row], float(apart[row]))
        for row in differing[:_SHOWN]
    )
    return Skew(version, len(served), len(served) - len(differing), float(apart.max()), first)


def _apart(served: Any, replayed: Any) -> Any:
    import numpy as np

    apart = np.abs(served - replayed) / np.maximum(1.0, np.abs(replayed))
    # A number that is missing on one side equals nothing.
    return np.where(np.isnan(apart), np.inf, apart)
