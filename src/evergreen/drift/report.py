"""The report for people: Evidently's pictures of a sample, under the verdict that was reached at full size."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from evergreen.checks import Outcome
from evergreen.drift.pictures import picture
from evergreen.drift.result import ColumnDrift, DriftResult
from evergreen.drift.text import to_dict
from evergreen.spec.rules import DriftRules

# Figures of five thousand rows look like those of fifty thousand, and cost less (docs/drift.md).
REPORT_ROWS = 5_000


def render(
    result: DriftResult, current: pd.DataFrame, reference: pd.DataFrame, rules: DriftRules, folder: Path
) -> DriftResult:
    """Write drift.html and drift.json into `folder`; the result with their paths.

    Evidently shows the scores and verdicts of `result`, it does not judge. Columns that could not be judged are
    not in its report; those that cannot be drawn as what they were are drawn as what is left of them. Where it
    fails, the verdict stands, `note` says so, and drift.json is written without its part.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shown = [c for c in result.columns if c.outcome is not Outcome.UNKNOWN]
    left_out = [c.column for c in result.columns if c.outcome is Outcome.UNKNOWN]
    notes = [result.note, f"Not in the report, as nothing could be judged: {', '.join(left_out)}." if left_out else ""]
    page, content = folder / "drift.html", None
    if any(c.role == "input" for c in shown):
        try:
            content = _draw(shown, current, reference, rules, page)
        # A picture that fails must not decide: whatever Evidently raises is told and the verdict stands.
        except Exception as error:
            notes.append(f"No Evidently report: {type(error).__name__}: {error}.")
    data = folder / "drift.json"
    report = None if content is None else str(page)
    done = replace(result, report=report, data=str(data), note=" ".join(filter(None, notes)))
    data.write_text(json.dumps({"verdict": to_dict(done), "evidently": content}, indent=1), encoding="utf-8")
    return done


def _draw(
    shown: list[ColumnDrift], current: pd.DataFrame, reference: pd.DataFrame, rules: DriftRules, page: Path
) -> dict[str, object]:
    from evergreen.drift.evidently_report import Sides, draw

    rows = min(REPORT_ROWS, rules.sample)
    sides = sample_rows(reference, rows, rules.seed), sample_rows(current, rows, rules.seed)
    columns = {c.column: picture(c.column, *sides) for c in shown}
    old, new = (pd.DataFrame({name: pair[i] for name, pair in columns.items()}) for i in (0, 1))
    return draw(shown, Sides(old, new), rules.max_share, page)


def sample_rows(frame: pd.DataFrame, rows: int, seed: int) -> pd.DataFrame:
    """At most so many rows, in their order; the same for the same frame and seed."""
    if len(frame) <= rows:
        return frame.reset_index(drop=True)
    picked = np.sort(np.random.default_rng(seed).choice(len(frame), rows, replace=False))
    return frame.iloc[picked].reset_index(drop=True)
