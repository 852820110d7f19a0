"""One look for all pictures, without touching matplotlib's global state."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GREEN = "#1f7a4d"
GREY = "#8a929a"
INK = "#20262c"
FAINT = "#d9dee3"
PALE = ("#ffffff", "#cfe6da", "#5fae86", GREEN)


@dataclass(frozen=True)
class Picture:
    """What a picture calls its models, and how it looks."""

    champion_version: int | None = None

    def label(self, position: int) -> str:
        """Challenger first, champion second."""
        if position == 0:
            return "challenger"
        return "champion" if self.champion_version is None else f"champion (version {self.champion_version})"

    def color(self, position: int) -> str:
        """Green and grey, told apart in print too."""
        return (GREEN, GREY)[position]

    def blank(self, title: str, columns: int = 1, size: tuple[float, float] = (5.6, 4.4)) -> tuple["Figure", Any]:
        """A figure with one or two axes: no box, a faint grid, the title at the left."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=size, layout="constrained", facecolor="white")
        axes = figure.subplots(1, columns, sharey=columns > 1)
        for one in axes if columns > 1 else [axes]:
            _style(one)
        figure.suptitle(title, x=0.02, ha="left", fontsize=12, fontweight="bold", color=INK)
        return figure, axes


def legend(axes: "Axes", **options: Any) -> None:
    """A legend without a box, the challenger first though it is drawn last."""
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], frameon=False, fontsize=9, labelcolor=INK, **options)


def note(axes: "Axes", text: str) -> None:
    """A sentence in place of a picture that these rows cannot give."""
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color=GREY, wrap=True)
    axes.set_axis_off()


def shorten(text: str, most: int = 22) -> str:
    """A label that fits beside an axis, with no dollar sign that would start a formula.

    >>> shorten("a very long name of a column", most=12)
    'a very long…'
    """
    plain = text.replace("$", r"\$")
    return plain if len(plain) <= most else plain[: most - 1].rstrip() + "…"


def _style(axes: "Axes") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=9, length=0)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
