"""A run as rows of text: what the page, the terminal and the model card show."""

from collections.abc import Iterator
from dataclasses import dataclass

from evergreen.evaluation.metrics import METRICS
from evergreen.evaluation.result import Evaluation
from evergreen.report.numbers import show, show_difference, show_share, show_time
from evergreen.report.run import Fact, RunReport

_TITLES = {
    "comparison": "The difference, with its interval",
    "confusion": "Confusion matrices",
    "roc": "ROC curves",
    "precision_recall": "Precision and recall",
    "calibration": "Calibration",
    "importance": "Permutation importance",
    "predicted": "Predicted and actual values",
    "residuals": "Residuals",
}


@dataclass(frozen=True)
class MetricLine:
    """One metric of both models. `verdict` is better, worse, same or empty, as seen from the challenger."""

    name: str
    challenger: str
    champion: str
    difference: str
    dummy: str
    verdict: str
    decisive: bool


def fact_lines(report: RunReport) -> tuple[Fact, ...]:
    """The lines under the headline."""
    return tuple(_facts(report))


def metric_lines(evaluation: Evaluation) -> tuple[MetricLine, ...]:
    """Every metric that could be computed for either model, the training metric first."""
    names = [evaluation.metric, *(n for n in evaluation.challenger.metrics if n != evaluation.metric)]
    champion = evaluation.champion.metrics if evaluation.champion else {}
    lines = (_metric_line(n, evaluation, evaluation.challenger.metrics.get(n), champion.get(n)) for n in names)
    return tuple(line for line in lines if (line.challenger, line.champion) != ("–", "–"))


def cost_lines(evaluation: Evaluation) -> tuple[tuple[str, str, str], ...]:
    """Latency and size: name, challenger, champion."""
    new, old = evaluation.challenger, evaluation.champion
    return (
        ("latency of one row, p95", _unit(new.latency_p95_ms, "ms"), _unit(old.latency_p95_ms if old else None, "ms")),
        ("size", _unit(new.size_mb, "MB"), _unit(old.size_mb if old else None, "MB")),
    )


def comparison_sentence(evaluation: Evaluation) -> str:
    """The paired comparison in words."""
    found = evaluation.comparison
    if found is None:
        return f"Not compared: {evaluation.comparison_note}." if evaluation.comparison_note else "Not compared."
    how = f"{found.blocks} blocks of time" if found.blocks else "independent rows"
    text = (
        f"{found.metric} is {show(found.challenger)} against {show(found.champion)}: a difference of "
        f"{show_difference(found.difference)} (positive is better), between {show_difference(found.lower)} and "
        f"{show_difference(found.upper)} at {found.confidence:.0%} confidence either way, from {found.rows:,} rows "
        f"resampled as {how}. A loss of {show(found.margin)} is tolerated."
    )
    return text + (f" About {found.rows_to_decide:,} rows would decide." if found.rows_to_decide else "")


def plot_title(stem: str) -> str:
    """A caption for a picture, from its file's name."""
    return _TITLES.get(stem, stem.replace("_", " ").capitalize())


def _facts(report: RunReport) -> Iterator[Fact]:
    yield Fact("as of", show_time(report.as_of))
    yield Fact("started for", report.reason.value + (", dry run" if report.dry_run else ""))
    if report.champion_version is not None:
        yield Fact("champion", f"version {report.champion_version}")
    if report.version is not None:
        yield Fact("registered as", f"version {report.version}")
    if report.snapshot is not None:
        yield Fact("data", f"{report.snapshot.rows:,} rows, {report.snapshot.labelled:,} labelled")
        yield Fact("snapshot", report.snapshot.digest[:12])
    if report.split is not None:
        yield Fact("split", f"{report.split.train_rows:,} to learn, {report.split.holdout_rows:,} held out")
    if report.evaluation is not None and report.evaluation.holdout_from is not None:
        span = (show_time(report.evaluation.holdout_from), show_time(report.evaluation.holdout_until))
        yield Fact("holdout", " – ".join(t.removesuffix(" UTC") for t in span))
    if report.fitted is not None:
        yield Fact("recipe", report.fitted.recipe.described)
    if report.evaluation is not None and report.evaluation.flips is not None:
        flips = report.evaluation.flips
        yield Fact("flips", f"{show_share(flips.positive)} put right, {show_share(flips.negative)} spoilt")
    if report.owner:
        yield Fact("owner", report.owner)
    yield from report.facts


def _metric_line(name: str, evaluation: Evaluation, new: float | None, old: float | None) -> MetricLine:
    up = METRICS[name].greater_is_better
    gain = None if new is None or old is None else (new - old if up else old - new)
    verdict = "" if gain is None else ("better" if gain > 0 else "worse" if gain < 0 else "same")
    decisive = name == evaluation.metric
    difference = None if new is None or old is None else new - old
    return MetricLine(
        name=name + (" ↑" if up else " ↓"),
        challenger=show(new),
        champion=show(old),
        difference=show_difference(difference),
        dummy=show(evaluation.dummy) if decisive else "",
        verdict=verdict,
        decisive=decisive,
    )


def _unit(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{value:.3g} {unit}"
