"""Pictures of an evaluation: the challenger in green, the champion in grey, on one pair of axes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.evaluation import curves, importance, intervals, misses
from evergreen.evaluation.canvas import Picture
from evergreen.evaluation.outputs import Labels, Outputs
from evergreen.evaluation.result import Evaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(evaluation: Evaluation, outputs: tuple[Outputs, ...], folder: Path) -> tuple[Path, ...]:
    """Write the pictures as PNG files into `folder` and return their paths, the most telling first.

    `outputs` are the challenger's and, when there is one, the champion's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(_write(name, figure, folder) for name, figure in _figures(evaluation, outputs))


def _figures(evaluation: Evaluation, outputs: tuple[Outputs, ...]) -> Iterator[tuple[str, "Figure"]]:
    picture = Picture(evaluation.champion_version)
    if evaluation.comparison is not None:
        yield "comparison", intervals.draw_comparison(evaluation, picture)
    for name, drawer in _drawers(outputs[0]):
        yield name, drawer(outputs, picture)
    yield "importance", importance.draw_importance(evaluation.metric, evaluation.importance, picture)


def _drawers(outputs: Outputs) -> Iterator[tuple[str, Callable[[tuple[Any, ...], Picture], "Figure"]]]:
    if not isinstance(outputs, Labels):
        yield "predicted", misses.draw_predicted
        yield "residuals", misses.draw_residuals
        return
    yield "confusion", misses.draw_confusion
    if outputs.probabilities is not None:
        yield "roc", curves.draw_roc
        yield "precision_recall", curves.draw_precision_recall
        yield "calibration", curves.draw_calibration


def _write(name: str, figure: "Figure", folder: Path) -> Path:
    path = folder / f"{name}.png"
    # Without the software's version in it the same picture is the same file.
    figure.savefig(path, dpi=144, metadata={"Software": None})
    return path
