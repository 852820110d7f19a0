"""Batch scoring: the champion answers for a snapshot, chunk by chunk, into Parquet."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evergreen.data.chunks import CHUNK_ROWS, read_chunks
from evergreen.data.snapshot import Snapshot
from evergreen.errors import EvergreenError
from evergreen.files import digest_of
from evergreen.settings import Settings
from evergreen.stages.open import tracking_of
from evergreen.stages.score_folder import Part, ScoreFolder
from evergreen.stages.score_rules import require_rules
from evergreen.stages.scorer import Scorer

log = logging.getLogger("evergreen.score")

Told = Callable[[int, int], None]


@dataclass(frozen=True)
class Scores:
    """A complete folder of scores. `written` is False where it was complete before."""

    folder: str
    model: str
    version: int
    rows: int
    parts: int
    written: bool = True


@dataclass(frozen=True)
class Destination:
    """Where scores go: `out`, or else a folder of the home that is named by the question; so many rows a part."""

    out: str | None = None
    chunk_rows: int = CHUNK_ROWS


def score_rows(
    scorer: Scorer, snapshot: Snapshot, to: Destination, settings: Settings, now: datetime, told: Told | None = None
) -> Scores:
    """Score a snapshot. What an earlier attempt finished is found again, a complete folder is left as it is.

    Raises DataError, before anything is written, where rows break the spec's rules, and UserError where `to.out`
    holds something else. `told` is called with the rows that are done and all rows.
    """
    question = _question(scorer, snapshot)
    path = _default_folder(question, snapshot.as_of, settings) if to.out is None else Path(to.out).expanduser()
    folder = ScoreFolder(path.absolute(), question, to.chunk_rows)
    if path.is_dir() and (before := folder.finished()) is not None:
        log.info("score       %s is complete already", path)
        return _scores(scorer, folder, before, written=False)
    require_rules(scorer, snapshot, to.chunk_rows)
    with folder.held():
        parts = _write(scorer, snapshot, folder, settings, told or (lambda *_: None))
        folder.complete(parts, scored_at=now.astimezone(UTC).isoformat())
    return _scores(scorer, folder, parts, written=True)


def _question(scorer: Scorer, snapshot: Snapshot) -> dict[str, Any]:
    """What the answers depend on, and what stands beside them."""
    return {
        "model": scorer.champion.model,
        "version": scorer.champion.version,
        "model_digest": scorer.champion.digest,
        "snapshot": snapshot.digest,
        "as_of": snapshot.as_of.isoformat(),
        "id_column": scorer.data.id_column,
        "task": scorer.spec.task,
    }


def _default_folder(question: Mapping[str, Any], as_of: datetime, settings: Settings) -> Path:
    name = f"{as_of:%Y%m%dT%H%M%SZ}-v{question['version']}-{digest_of(dict(question))[:12]}"
    return settings.home / "scores" / str(question["model"]) / name


def _write(scorer: Scorer, snapshot: Snapshot, folder: ScoreFolder, settings: Settings, told: Told) -> tuple[Part, ...]:
    """Every part: those that are there, and then the others."""
    from evergreen.registry.model import load

    model = load(tracking_of(settings), scorer.champion.source, scorer.champion.digest)
    parts = folder.begin()
    if parts:
        log.info("score       %d parts are finished already", len(parts))
    done = sum(part.rows for part in parts)
    told(done, snapshot.rows)
    for table in read_chunks(snapshot.path, list(scorer.kept), folder.chunk_rows, done):
        parts = (*parts, folder.write(len(parts), _answers(scorer, model, table, snapshot.as_of, done)))
        folder.note(parts)
        done += table.num_rows
        log.info("score       part %d, %s of %s rows", len(parts), f"{done:,}", f"{snapshot.rows:,}")
        told(done, snapshot.rows)
    return parts


def _answers(scorer: Scorer, model: Any, table: Any, as_of: datetime, first: int) -> Any:
    """The answers for a chunk, whose first row has this position, as an Arrow table."""
    import numpy as np
    import pyarrow as pa

    from evergreen.evaluation.predict import ask

    try:
        answers = ask(model, scorer.frame(table, scorer.inputs))
    except Exception as error:
        rows = f"rows {first:,} to {first + table.num_rows - 1:,}"
        raise EvergreenError(f"{scorer.title} cannot score {rows} ({type(error).__name__}: {error})") from error
    rows, name = table.num_rows, scorer.data.id_column
    labels = scorer.spec.task == "classification"
    columns = {
        "row_id": pa.array(np.arange(first, first + rows)) if name is None else table.column(name),
        "prediction": pa.array(list(answers.predicted), pa.string()) if labels else pa.array(answers.predicted),
    }
    if answers.probabilities is not None:
        named = zip(answers.classes, answers.probabilities.T, strict=True)
        columns |= {f"probability_{label}": pa.array(values) for label, values in named}
    return pa.table(
        {
            **columns,
            "model": pa.repeat(scorer.champion.model, rows),
            "version": pa.repeat(pa.scalar(scorer.champion.version, pa.int64()), rows),
            "as_of": pa.repeat(pa.scalar(as_of, pa.timestamp("us", "UTC")), rows),
        }
    )


def _scores(scorer: Scorer, folder: ScoreFolder, parts: tuple[Part, ...], *, written: bool) -> Scores:
    rows = sum(part.rows for part in parts)
    model, version = scorer.champion.model, scorer.champion.version
    return Scores(str(folder.path), model, version, rows, len(parts), written)


def tell(scores: Scores) -> str:
    """What came of it, in a sentence."""
    done = f"{scores.rows:,} rows scored by version {scores.version} of {scores.model}"
    return done if scores.written else f"{done}, before: the folder is complete, and nothing was written again"
