"""Where the models are wrong: confusion matrices, predicted against actual values, residuals."""

from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.evaluation.canvas import FAINT, INK, PALE, Picture, legend, shorten
from evergreen.evaluation.outputs import FloatArray, Labels, Numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_CLASSES = 12
_MOST_POINTS = 3000


def draw_confusion(outputs: tuple[Labels, ...], picture: Picture) -> "Figure":
    """Rows by true and predicted class, shaded by the share of the true class; the largest twelve classes at most."""
    shown = _largest_classes(outputs[0])
    wide = 1.5 + max(2.6, 0.62 * len(shown))
    figure, axes = picture.blank("Confusion", columns=len(outputs), size=(wide * len(outputs) + 0.6, wide + 0.3))
    names = [shorten(outputs[0].classes[k], 14) for k in shown]
    for position, labels in enumerate(outputs):
        one = axes[position] if len(outputs) > 1 else axes
        _draw_matrix(one, _matrix(labels, shown), names)
        one.set_title(picture.label(position), fontsize=10, color=picture.color(position), fontweight="bold")
        one.set(xlabel="predicted", ylabel="" if position else "actual")
    return figure


def draw_predicted(outputs: tuple[Numbers, ...], picture: Picture) -> "Figure":
    """Predicted against actual values; a perfect model lies on the line."""
    figure, axes = picture.blank("Predicted and actual", columns=len(outputs), size=(4.8 * len(outputs) + 0.8, 4.4))
    low, high = _range(np.concatenate([outputs[0].y, *(o.predicted for o in outputs)]))
    for position, numbers in enumerate(outputs):
        one = axes[position] if len(outputs) > 1 else axes
        rows = _spread(len(numbers.y))
        one.plot([low, high], [low, high], color=INK, linewidth=1, linestyle="--")
        _dots(one, numbers.predicted[rows], numbers.y[rows], picture.color(position))
        one.set_title(picture.label(position), fontsize=10, color=picture.color(position), fontweight="bold")
        one.set(xlabel="predicted", ylabel="" if position else "actual", xlim=(low, high), ylim=(low, high))
    return figure


def draw_residuals(outputs: tuple[Numbers, ...], picture: Picture) -> "Figure":
    """How often the models miss by how much; the outermost hundredth of the misses is left out."""
    figure, axes = picture.blank("Residuals")
    misses = [numbers.y - numbers.predicted for numbers in outputs]
    low, high = _range(np.concatenate(misses))
    bins = np.linspace(low, high, 51)
    axes.axvline(0, color=INK, linewidth=1, linestyle="--")
    for position, values in reversed(list(enumerate(misses))):
        style: dict[str, Any] = {"histtype": "stepfilled", "alpha": 0.25} if position == 0 else {"histtype": "step"}
        color = picture.color(position)
        axes.hist(values, bins=bins, color=color, linewidth=1.6, label=picture.label(position), **style)
        if position == 0:
            axes.hist(values, bins=bins, color=color, linewidth=1.8, histtype="step")
    axes.set(xlabel="actual − predicted", ylabel="rows")
    legend(axes)
    return figure


def _draw_matrix(axes: "Axes", counts: FloatArray, names: list[str]) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap=LinearSegmentedColormap.from_list("green", PALE), vmin=0, vmax=1)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_xticks(range(len(names)), names, rotation=30 if len(names) > 3 else 0)
    axes.set_yticks(range(len(names)), names)
    size = 10 if len(names) <= 4 else 7.5
    for (row, column), count in np.ndenumerate(counts):
        share = shares[row, column]
        text = f"{int(count):,}\n{share:.0%}" if len(names) <= 6 else f"{share:.0%}"
        axes.text(column, row, text, ha="center", va="center", fontsize=size, color="white" if share > 0.6 else INK)


def _matrix(labels: Labels, shown: list[int]) -> FloatArray:
    size = len(labels.classes)
    counts = np.bincount(labels.y * size + labels.predicted, minlength=size * size).reshape(size, size)
    return counts[np.ix_(shown, shown)].astype(np.float64)


def _largest_classes(labels: Labels) -> list[int]:
    rows = np.bincount(labels.y, minlength=len(labels.classes))
    return sorted(np.argsort(-rows, kind="stable")[:_MOST_CLASSES].tolist())


def _dots(axes: "Axes", x: FloatArray, y: FloatArray, color: str) -> None:
    axes.scatter(x, y, s=9, color=color, alpha=0.35, linewidths=0)
    axes.spines[["left", "bottom"]].set_color(FAINT)


def _spread(rows: int) -> Any:
    return np.unique(np.linspace(0, rows - 1, min(rows, _MOST_POINTS)).astype(int))


def _range(values: FloatArray) -> tuple[float, float]:
    low, high = np.quantile(values[np.isfinite(values)], [0.005, 0.995])
    room = 0.04 * (high - low) or 1.0
    return float(low - room), float(high + room)
