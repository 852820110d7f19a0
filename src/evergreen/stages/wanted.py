"""The unlabelled predictions of a champion that are most worth a label, and a file to write the labels into."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TextIO

from evergreen.errors import UserError
from evergreen.registry.handles import Champion
from evergreen.settings import Settings
from evergreen.stages.open import read_spec, tracking_of
from evergreen.stages.scorer import find_champion
from evergreen.store.captured import Captured, join
from evergreen.store.labelled import LabelledTraffic

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    from evergreen.monitoring.wanted import Wish

MOST_ROWS = 100_000
"""Predictions that are looked at, the newest ones."""

ABOUT = ("prediction_id", "row_id", "predicted_at", "version", "prediction", "why", "uncertainty", "novelty")
CHANCE = "probability_"
# What a spreadsheet takes for a formula; a caller's text is none.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Search:
    """Which predictions are looked at, since a moment and until another, and how many are wanted."""

    since: datetime
    until: datetime
    top: int = 200
    seed: int = 0
    most: int = MOST_ROWS


@dataclass(frozen=True)
class Wanted:
    """A prediction that a label is wanted for: what was asked and answered, and why this one."""

    answer: Mapping[str, Any]
    inputs: Mapping[str, Any]
    wish: "Wish"


def find_wanted(name: str, search: Search, settings: Settings) -> tuple[Wanted, ...]:
    """The predictions of a spec's model most worth a label, most wanted first.

    Raises UserError where it has no champion, or no prediction without a label.
    """
    from evergreen.data.frame import canonical_frame
    from evergreen.monitoring.wanted import choose_wanted
    from evergreen.registry.model import load

    spec = read_spec(name, settings)
    champion = find_champion(spec.model, name, settings)
    model = load(tracking_of(settings), champion.source, champion.digest)
    reads, left_out = model["read"].types, spec.serving.capture.leave_out
    # Rows from before a column was left out still have it, and are shown without it like all others.
    types = {column: kind for column, kind in reads.items() if column not in left_out}
    found = _unlabelled(spec.model, tuple(types), search, settings, spec.data.id_column not in left_out)
    if not found.rows:
        raise UserError(
            f"{spec.model}: no captured prediction since {search.since:%Y-%m-%d %H:%M} UTC waits for a label; "
            "serve the model, look further back with --days, or see evergreen skew"
        )
    raw = found.inputs.to_pandas().reindex(range(found.rows))
    whole = len(types) == len(reads)
    frame = canonical_frame(raw, types)
    compared, reference = _compared(model if whole else None, frame, _read_reference(champion, settings))
    uncertainty = _uncertainty(model, raw) if whole else _uncertainty_then(found.answers)
    wishes = choose_wanted(compared, reference, uncertainty, search.top, search.seed)
    return tuple(_wanted(found, wish) for wish in wishes)


def write_wanted(wanted: Iterable[Wanted], file: TextIO) -> None:
    """A CSV file with a line for each, and two columns to fill in: `label`, and `at` where it was known earlier."""
    rows = list(wanted)
    inputs = list(rows[0].inputs) if rows else []
    about = [name for name in ABOUT if name != "row_id" or (rows and "row_id" in rows[0].answer)]
    writer = csv.writer(file)
    writer.writerow([*about, *(f"input.{name}" for name in inputs), "label", "at"])
    for row in rows:
        writer.writerow([*_about(row), *(_shown(row.inputs[name]) for name in inputs), "", ""])


def _unlabelled(model: str, columns: tuple[str, ...], search: Search, settings: Settings, names_rows: bool) -> Captured:
    """The newest captured rows without a label, of versions that captured every column."""
    import pyarrow.compute as pc

    kept: list[Captured] = []
    traffic = LabelledTraffic(settings.store_url)
    for chunk in traffic.chunks(model, search.until, search.since, columns, unlabelled=True):
        answers = chunk.answers
        wanted = pc.and_(pc.is_null(answers.column("label_at")), answers.column("complete"))
        names = ["id", *(["row_id"] if names_rows else []), "at", "version", "prediction"]
        names += [name for name in answers.column_names if name.startswith(CHANCE)]
        inputs = chunk.inputs.filter(wanted) if columns else chunk.inputs
        kept.append(Captured(inputs, answers.select(names).filter(wanted)))
        while sum(each.rows for each in kept[1:]) >= search.most:
            kept.pop(0)
    if not kept:
        return Captured(*(_nothing() for _ in range(2)))
    found = join(kept)
    first = max(0, found.rows - search.most)
    return Captured(found.inputs.slice(first), found.answers.slice(first))


def _nothing() -> Any:
    import pyarrow as pa

    return pa.table({})


def _read_reference(champion: Champion, settings: Settings) -> "pd.DataFrame":
    from evergreen.registry.complete import reading
    from evergreen.registry.reference import fetch_reference
    from evergreen.stages.assess import read_reference

    tracking = tracking_of(settings)
    with reading(tracking, champion):
        return read_reference(fetch_reference(tracking, champion, settings.home / "champions"))


def _compared(
    model: Any | None, frame: "pd.DataFrame", reference: "pd.DataFrame"
) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """The inputs, and what the model derives from them, that the reference has too; no model derives nothing."""
    from evergreen.spec.columns import PREDICTION
    from evergreen.stages.assess import with_derived

    names = [name for name in reference.columns if name != PREDICTION]
    if model is not None:
        frame = with_derived(frame, model, [name for name in names if name not in frame.columns])
    shared = [name for name in names if name in frame.columns]
    return frame[shared], reference[shared]


def _uncertainty(model: Any, raw: "pd.DataFrame") -> "np.ndarray | None":
    from evergreen.evaluation.predict import ask
    from evergreen.monitoring.wanted import margin_uncertainty

    probabilities = ask(model, raw).probabilities
    return None if probabilities is None else margin_uncertainty(probabilities)


def _uncertainty_then(answers: "pa.Table") -> "np.ndarray | None":
    """What the versions said when they answered, where the champion cannot be asked again."""
    import numpy as np

    from evergreen.monitoring.wanted import UNKNOWN, margin_uncertainty

    names = [name for name in answers.column_names if name.startswith(CHANCE)]
    if not names:
        return None
    chances = np.column_stack([answers[name].to_numpy().astype(np.float64) for name in names])
    silent = np.isnan(chances).all(axis=1)
    # A class that a version did not know, it gave no chance.
    return np.where(silent, UNKNOWN, margin_uncertainty(np.nan_to_num(chances)))


def _wanted(found: Captured, wish: "Wish") -> Wanted:
    (answer,) = found.answers.slice(wish.position, 1).to_pylist()
    # A table without a column has no row.
    inputs = found.inputs.slice(wish.position, 1).to_pylist()
    return Wanted(answer, inputs[0] if inputs else {}, wish)


def _about(row: Wanted) -> list[Any]:
    answer, wish = row.answer, row.wish
    uncertainty = "" if wish.uncertainty is None else f"{wish.uncertainty:.3f}"
    told = [_shown(answer[name]) for name in ("row_id", "at", "version", "prediction") if name in answer]
    return [answer["id"], *told, wish.why, uncertainty, f"{wish.novelty:.3f}"]


def _shown(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
