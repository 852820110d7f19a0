"""ROC, precision-recall and calibration: both models' probabilities on one pair of axes."""

from typing import TYPE_CHECKING

import numpy as np

from evergreen.evaluation.canvas import FAINT, GREY, Picture, legend, note
from evergreen.evaluation.metrics import METRICS, measure
from evergreen.evaluation.outputs import FloatArray, Labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BINS = 10
_MOST_POINTS = 500


def draw_roc(outputs: tuple[Labels, ...], picture: Picture) -> "Figure":
    """True against false positives; with more than two classes every row-class pair counts (micro-average)."""
    from sklearn.metrics import roc_curve

    figure, axes = picture.blank("ROC" + _suffix(outputs[0]))
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1.2, linestyle="--")
    for position, labels in _drawn_last_first(outputs, axes):
        false, true, _ = roc_curve(*_pairs(labels))
        _line(axes, _thin(false), _thin(true), (picture, position, "roc_auc", labels))
    axes.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    _finish(axes, "lower right")
    return figure


def draw_precision_recall(outputs: tuple[Labels, ...], picture: Picture) -> "Figure":
    """Precision against recall, with the share of positives as the floor."""
    from sklearn.metrics import precision_recall_curve

    figure, axes = picture.blank("Precision and recall" + _suffix(outputs[0]))
    for position, labels in _drawn_last_first(outputs, axes):
        truth, scores = _pairs(labels)
        precision, recall, _ = precision_recall_curve(truth, scores)
        axes.axhline(truth.mean(), color=FAINT, linewidth=1.2, linestyle="--")
        _line(axes, _thin(recall), _thin(precision), (picture, position, "pr_auc", labels))
    axes.set(xlabel="recall", ylabel="precision", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    _finish(axes, "best")
    return figure


def draw_calibration(outputs: tuple[Labels, ...], picture: Picture) -> "Figure":
    """Predicted against observed frequency, in ten bins of equal rows, over how often each probability is given."""
    figure, axes = picture.blank("Calibration" + _suffix(outputs[0]))
    counts = axes.twinx()
    counts.set_axis_off()
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1.2, linestyle="--")
    for position, labels in _drawn_last_first(outputs, axes):
        truth, scores = _pairs(labels)
        expected, observed = _bins(truth, scores)
        axes.plot(
            expected, observed, color=picture.color(position), marker="o", markersize=5, linewidth=1.8,
            label=_label(picture, position, "brier", labels),
        )  # fmt: skip
        counts.hist(scores, bins=40, range=(0, 1), color=picture.color(position), alpha=0.18)
    counts.set_ylim(0, counts.get_ylim()[1] * 5)
    axes.set(xlabel="predicted probability", ylabel="observed share", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    _finish(axes, "upper left")
    return figure


def _drawn_last_first(outputs: tuple[Labels, ...], axes: "Axes") -> list[tuple[int, Labels]]:
    """Champion, then challenger above it; none where these rows have one class."""
    if len(np.unique(outputs[0].y)) < 2:
        note(axes, "the holdout has a single class")
        return []
    return [(p, o) for p, o in reversed(list(enumerate(outputs))) if o.probabilities is not None]


def _pairs(labels: Labels) -> tuple[FloatArray, FloatArray]:
    assert labels.probabilities is not None
    if len(labels.classes) == 2:
        return (labels.y == 1).astype(np.float64), labels.probabilities[:, 1]
    truth = labels.y[:, None] == np.arange(len(labels.classes))
    return truth.astype(np.float64).ravel(), labels.probabilities.ravel()


def _bins(truth: FloatArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    order = np.argsort(scores, kind="stable")
    parts = [part for part in np.array_split(order, _BINS) if len(part)]
    return np.array([scores[p].mean() for p in parts]), np.array([truth[p].mean() for p in parts])


def _thin(values: FloatArray) -> FloatArray:
    if len(values) <= _MOST_POINTS:
        return values
    return values[np.linspace(0, len(values) - 1, _MOST_POINTS).astype(int)]


def _line(axes: "Axes", x: FloatArray, y: FloatArray, of: tuple[Picture, int, str, Labels]) -> None:
    picture, position, metric, labels = of
    label = _label(picture, position, metric, labels)
    axes.plot(x, y, color=picture.color(position), linewidth=2 if position == 0 else 1.6, label=label)


def _label(picture: Picture, position: int, metric: str, labels: Labels) -> str:
    value = measure(METRICS[metric], labels)
    return picture.label(position) if value is None else f"{picture.label(position)}: {metric} {value:.3f}"


def _suffix(labels: Labels) -> str:
    return f" of {labels.classes[1]!r}" if len(labels.classes) == 2 else " over all classes"


def _finish(axes: "Axes", place: str) -> None:
    axes.set_aspect("auto")
    if axes.get_legend_handles_labels()[0]:
        legend(axes, loc=place)
    axes.spines[["left", "bottom"]].set_color(GREY)
