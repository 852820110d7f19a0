"""The comparison as a picture: every metric's values, and the interval the gate decided by."""

from typing import TYPE_CHECKING, Any

from evergreen.evaluation.canvas import FAINT, GREEN, GREY, INK, Picture, shorten
from evergreen.evaluation.result import Comparison, Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RED = "#b3382c"


def draw_comparison(evaluation: Evaluation, picture: Picture) -> "Figure":
    """The difference to the champion with its interval, the margin, and the slices below."""
    found = evaluation.comparison
    assert found is not None
    lines = _lines(evaluation, found)
    figure, axes = picture.blank(f"Challenger − champion, {found.metric}", size=(7.2, 1.9 + 0.36 * len(lines)))
    for row, (_, difference, lower, upper) in enumerate(lines):
        _draw_interval(axes, row, (difference, lower, upper), found.margin, strong=row == 0)
        axes.text(1.01, row, f"{difference:+.4f}".rstrip("0"), transform=axes.get_yaxis_transform(), va="center",
                  fontsize=9, color=INK)  # fmt: skip
    axes.axvline(0, color=INK, linewidth=1)
    if found.margin:
        axes.axvline(-found.margin, color=RED, linewidth=1, linestyle="--")
        axes.text(-found.margin, -0.62, "margin ", ha="right", va="center", fontsize=8.5, color=RED)
    axes.set_yticks(range(len(lines)), [line[0] for line in lines])
    axes.set_ylim(len(lines) - 0.4, -0.8)
    axes.grid(visible=False, axis="y")
    together = ", slices all together" if len(lines) > 1 else ""
    axes.set_xlabel(f"positive is better; one-sided {found.confidence:.0%} either end{together}")
    return figure


def _lines(evaluation: Evaluation, found: Comparison) -> list[tuple[str, float, float | None, float | None]]:
    slices = evaluation.slices if found.metric == evaluation.metric else ()
    parts = [
        (shorten(f"{part.column} = {part.value}", 28), part.difference, part.lower, part.upper)
        for part in slices
        if part.difference is not None
    ]
    return [(f"all {found.rows:,} rows", found.difference, found.lower, found.upper), *parts[:14]]


def _draw_interval(axes: "Axes", row: int, interval: tuple[Any, Any, Any], margin: float, strong: bool) -> None:
    difference, lower, upper = interval
    proven = lower is not None and lower >= -margin
    color = GREEN if proven else (RED if difference < -margin else GREY)
    if lower is not None:
        axes.plot(
            [lower, upper], [row, row], color=color, linewidth=4 if strong else 2, solid_capstyle="round", alpha=0.75
        )
    axes.plot(difference, row, "o", color=color, markersize=9 if strong else 6, markeredgecolor="white")
    axes.axhline(row, color=FAINT, linewidth=0.5, zorder=0)
