"""Whatever answers rows: the compiled engine, or the pipeline itself where nothing faster says the same."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from evergreen.errors import IntegrityError
from evergreen.registry.artifact import TOLERANCE
from evergreen.serving.encode import Encoder, compile_encoder
from evergreen.serving.handles import Answers, Column, Engine, Row
from evergreen.serving.models import MOVED, Predict, candidates, told
from evergreen.serving.parity import apart, disturbed, recorded
from evergreen.serving.rows import frame_to_rows, rows_to_frame
from evergreen.serving.single import Single, single

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

    from evergreen.registry.artifact import Answers as Recorded


@dataclass(frozen=True)
class CompiledEngine:
    """Rows to a matrix, and that to answers, without a frame in between. It holds no state: threads may share it.

    `single` answers for one row where it needs no matrix.
    """

    encoder: Encoder
    predict: Predict
    why: str = ""
    name: str = "compiled"
    single: Single | None = None

    def answer(self, rows: Sequence[Row]) -> Answers:
        """The answers for valid rows."""
        if self.single is not None and len(rows) == 1:
            return self.single(rows[0])
        return self.predict(self.encoder(rows))


@dataclass(frozen=True)
class PipelineEngine:
    """The fitted pipeline itself, asked with the canonical frame of the rows."""

    pipeline: Any
    columns: tuple[Column, ...]
    why: str = ""
    name: str = "pipeline"

    def answer(self, rows: Sequence[Row]) -> Answers:
        """The answers for valid rows."""
        from evergreen.evaluation.predict import ask

        given = ask(self.pipeline, rows_to_frame(self.columns, rows))
        predicted = [value if isinstance(value, str) else float(value) for value in given.predicted]
        return Answers(predicted, given.probabilities, given.classes)


def build_engine(pipeline: "Pipeline", requests: "pd.DataFrame", expected: "Recorded") -> Engine:
    """The fastest engine that gives the pipeline's own answers: to the stored requests, and to disturbed ones.

    Raises IntegrityError where not even the pipeline gives the answers that were stored with it.
    """
    columns = tuple(Column(name, kind) for name, kind in pipeline["read"].types.items())
    rows = frame_to_rows(columns, pipeline["read"].transform(requests))
    itself = PipelineEngine(pipeline, columns)
    if (worst := apart(itself.answer(rows), recorded(expected))) > TOLERANCE:
        raise IntegrityError(
            f"the pipeline answers its stored requests differently, by {worst:g}; it is not served. Train again"
        )
    try:
        encoder = compile_encoder(pipeline)
    except MOVED as error:
        return PipelineEngine(pipeline, columns, told(error))
    found = slower = ""
    for engine in _engines(pipeline[-1], encoder):
        found = _differs(engine, itself, rows, disturbed(columns, rows))
        if not found:
            return replace(engine, why=engine.why or slower)
        slower = f"a faster way was not taken: {found}"
    return PipelineEngine(pipeline, columns, found)


def _engines(estimator: Any, encoder: Encoder) -> Iterator[CompiledEngine]:
    """Engines that may answer, the fastest first."""
    for name, why, predict in candidates(estimator, encoder):
        engine = CompiledEngine(encoder, predict, why, name)
        if not why and (alone := single(estimator, encoder)) is not None:
            yield replace(engine, single=alone)
        yield engine


def _differs(engine: Engine, pipeline: Engine, rows: Sequence[Row], others: Sequence[Row]) -> str:
    """How the answers of an engine differ from those of the pipeline; empty where they do not."""
    asked = [*rows, *others]
    try:
        truth = pipeline.answer(asked)
        if (worst := apart(engine.answer(asked), truth)) > TOLERANCE:
            return f"its answers are not the pipeline's; they differ by {worst:g}"
        for count in (1, 3):
            few = [engine.answer(asked[start : start + count]) for start in range(0, len(asked), count)]
            if (worst := apart(_joined(few), truth)) > TOLERANCE:
                return f"its answers to {count} at a time are not those to all at once; they differ by {worst:g}"
    except Exception as error:
        return f"it does not answer ({type(error).__name__})"
    return ""


def _joined(parts: Sequence[Answers]) -> Answers:
    import numpy as np

    predictions = [value for part in parts for value in part.predictions]
    first = parts[0]
    if first.probabilities is None:
        return Answers(predictions)
    stacked = np.vstack([part.probabilities for part in parts if part.probabilities is not None])
    return Answers(predictions, stacked, first.classes)
