"""How near the estimated loss is to the one that comes true, on two real tables in the order of time.

A champion learns the first half of a table, is measured on the next tenth, and answers the rest in windows; with
`--retrain-every` another one takes over after so many windows. Prints Markdown and writes a picture.

    OMP_NUM_THREADS=1 python benchmarks/monitoring/estimates.py path/to/tables --picture docs/images/estimates.png

The folder holds bank_full/bank_full.parquet (Moro, Cortez and Rita 2014: does a customer of a bank subscribe?) and
bike_sharing/bike_sharing.parquet (Fanaee-T and Gama 2014: how many bikes are rented in an hour?), both from the UCI
repository (CC BY 4.0), each with its moment in a column `event_time`.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from evergreen.checks import Outcome
from evergreen.evaluation.baseline import Baseline, measure_baseline, row_losses
from evergreen.evaluation.predict import Answers, Holdout, ask
from evergreen.monitoring.answered import loss_metric, read_answers
from evergreen.monitoring.estimate import Estimator, estimate_loss, fit_estimator
from evergreen.monitoring.realised import Labelling, realised_loss
from evergreen.spec.monitoring import RealisedRules


@dataclass(frozen=True)
class Table:
    """A table, what is predicted, what would give it away, and the rows of a window."""

    name: str
    title: str
    task: str
    target: str
    leaks: tuple[str, ...]
    window: int


@dataclass(frozen=True)
class Looked:
    """What was said of a window before and after its labels."""

    until: pd.Timestamp
    estimate: float
    lower: float
    upper: float
    realised: float
    holdout: float
    raised: bool
    over: bool
    champion: int


TABLES = (
    Table(
        "bank_full", "bank: brier, windows of 1,000 calls", "classification", "y", ("duration", "month", "day"), 1_000
    ),
    Table("bike_sharing", "bikes: mae, windows of a week", "regression", "cnt", ("casual", "registered", "yr"), 168),
)


def main() -> None:
    """Both tables, both ways."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("tables", type=Path)
    options.add_argument(
        "--retrain-every", type=int, default=8, help="windows that a champion answers in the second way"
    )
    options.add_argument("--picture", type=Path)
    given = options.parse_args()
    print("| table | champions | windows | mean gap of the estimate | of “nothing changed” | correlation | "
          "estimate raised | realised over its bound |\n| --- | --- | --- | --- | --- | --- | --- | --- |")  # fmt: skip
    drawn = []
    for table in TABLES:
        rows = pd.read_parquet(given.tables / table.name / f"{table.name}.parquet")
        rows = rows.sort_values("event_time", kind="stable", ignore_index=True)
        for every in (None, given.retrain_every):
            looked = list(watch(table, rows, every))
            print(summarise(table, looked), flush=True)
            drawn += [(table, looked)] if every is not None else []
    if given.picture:
        draw(drawn, given.picture)


def watch(table: Table, rows: pd.DataFrame, every: int | None) -> Iterator[Looked]:
    """Every window of a table under one champion, or under a new one after so many windows."""
    begin = int(len(rows) * 0.6)
    starts = range(begin, len(rows) - table.window + 1, table.window)
    for place, start in enumerate(starts):
        if place % (every or len(starts)) == 0:
            model, baseline = crown(table, rows.iloc[:start])
            metric = loss_metric(None, baseline)
            fitted, labelled = fit_estimator(baseline, metric), None
            assert isinstance(fitted, Estimator)
        window = rows.iloc[start : start + table.window].reset_index(drop=True)
        answers = as_captured(ask(model, inputs_of(table, window)), window, table)
        labelled = answers if labelled is None else pa.concat_tables([labelled, answers])
        yield look(fitted, baseline, inputs_of(table, window), answers, labelled, place // (every or len(starts)))


def crown(table: Table, rows: pd.DataFrame) -> tuple[Any, Baseline]:
    """A model of the first five sixths of the rows, and its baseline on the others."""
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    split = len(rows) * 5 // 6
    frame, y = inputs_of(table, rows), rows[table.target]
    y = y.astype(str) if table.task == "classification" else y.astype(float)
    kinds = {"classification": HistGradientBoostingClassifier, "regression": HistGradientBoostingRegressor}
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=-1)
    encode = make_column_transformer((codes, make_column_selector(dtype_exclude="number")), remainder="passthrough")
    model = make_pipeline(encode, kinds[table.task](max_iter=150, learning_rate=0.05, random_state=0))
    model.fit(frame.iloc[:split], y.iloc[:split])
    held = Holdout(frame.iloc[split:].reset_index(drop=True), y.iloc[split:].reset_index(drop=True))
    names = list(held.frame.columns)
    return model, measure_baseline(held, ask(model, held.frame), names, table.task, "")


def look(
    fitted: Estimator, baseline: Baseline, frame: pd.DataFrame, answers: pa.Table, labelled: pa.Table, champion: int
) -> Looked:
    """A window before its labels, and after."""
    metric, holdout = fitted.metric, baseline.losses[fitted.metric]
    before = estimate_loss(fitted, frame, answers)
    after = realised_loss(labelled, holdout, RealisedRules(min_labels=100), metric, Labelling())
    real = float(row_losses(read_answers(answers, metric == "mae"), metric).mean())
    until = pd.Timestamp(answers["at"][-1].as_py())
    ends = (before.value or 0.0, before.lower or 0.0, before.upper or 0.0)
    return Looked(until, *ends, real, holdout.mean, before.raised, after.outcome is Outcome.FAIL, champion)


def inputs_of(table: Table, rows: pd.DataFrame) -> pd.DataFrame:
    """What the model is given."""
    return rows.drop(columns=[table.target, "event_time", *table.leaks])


def as_captured(said: Answers, rows: pd.DataFrame, table: Table) -> pa.Table:
    """Answers as the store gives them, with labels that are known at once."""
    chances = said.probabilities.T if said.probabilities is not None else ()
    columns = {f"probability_{name}": column for name, column in zip(said.classes, chances, strict=True)}
    at = pa.array(rows["event_time"], pa.timestamp("us", "UTC"))
    label = rows[table.target].astype(str if table.task == "classification" else float)
    return pa.table({"prediction": list(said.predicted), **columns, "label": list(label), "at": at, "label_at": at})


def summarise(table: Table, looked: list[Looked]) -> str:
    """A line of the table."""
    estimate, real, held = (
        np.array([getattr(x, name) for x in looked]) for name in ("estimate", "realised", "holdout")
    )
    raised, over = sum(each.raised for each in looked), sum(each.over for each in looked)
    cells = [table.name, looked[-1].champion + 1, len(looked), f"{np.abs(estimate - real).mean():.4g}",
             f"{np.abs(held - real).mean():.4g}", f"{np.corrcoef(estimate, real)[0, 1]:.2f}", raised, over]  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def draw(drawn: list[tuple[Table, list[Looked]]], path: Path) -> None:
    """Estimate with its band, and what came true, over time; a vertical line is another champion."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6.4), layout="constrained")
    for axes, (table, looked) in zip(figure.subplots(len(drawn), 1), drawn, strict=True):
        at = [each.until for each in looked]
        axes.fill_between(at, [x.lower for x in looked], [x.upper for x in looked], color="#cfe0f2", lw=0,
                          label="band without drift")  # fmt: skip
        axes.plot(
            at, [x.holdout for x in looked], color="#8a929a", lw=1, ls=":", label="“nothing changed”: the holdout"
        )
        for before, each in pairwise(looked):
            if before.champion != each.champion:
                axes.axvline(each.until, color="#20262c", lw=0.7, alpha=0.5)
        axes.plot(at, [x.estimate for x in looked], color="#2f6fb0", lw=1.6, label="estimated, without labels")
        axes.plot(at, [x.realised for x in looked], color="#1f7a4d", lw=1.6, label="realised")
        raised = [each for each in looked if each.raised]
        axes.plot([x.until for x in raised], [x.estimate for x in raised], "o", color="#2f6fb0", ms=4, label="raised")
        axes.set_title(table.title, loc="left", fontsize=11)
        axes.set_ylim(bottom=0)
        axes.grid(color="#dfe3e6", lw=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8.5)
    lines, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(lines, names, fontsize=8.5, frameon=False, loc="outside upper left", ncols=5)
    figure.savefig(path, dpi=144, metadata={"Software": None})


if __name__ == "__main__":
    main()
