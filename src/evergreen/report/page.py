"""A run as one HTML page: everything is inside the file, so that it can be mailed, archived and opened offline."""

import base64
from pathlib import Path
from typing import Any

from evergreen.report import numbers, tables
from evergreen.report.run import RunReport, headline
from evergreen.report.template import Filters, open_template


def render(report: RunReport) -> str:
    """The page. Every text is escaped; pictures are read from `report.evaluation.plots` and put inside."""
    filters: Filters = {
        "show": numbers.show,
        "show_difference": numbers.show_difference,
        "show_share": numbers.show_share,
        "show_time": numbers.show_time,
    }
    return open_template("page.html.j2", filters).render(_content(report))


def write(report: RunReport, path: Path) -> Path:
    """Write the page to a file; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(report), encoding="utf-8")
    return path


def _content(report: RunReport) -> dict[str, Any]:
    evaluation = report.evaluation
    return {
        "report": report,
        "evaluation": evaluation,
        "headline": headline(report),
        "facts": tables.fact_lines(report),
        "trials": sorted(report.trials, key=lambda t: t.mean, reverse=_greater_is_better(report)),
        "metrics": tables.metric_lines(evaluation) if evaluation else (),
        "costs": tables.cost_lines(evaluation) if evaluation else (),
        "comparison": tables.comparison_sentence(evaluation) if evaluation else "",
        "plots": [_picture(Path(path)) for path in (evaluation.plots if evaluation else ())],
    }


def _greater_is_better(report: RunReport) -> bool:
    from evergreen.evaluation.metrics import METRICS

    return not report.trials or METRICS[report.trials[0].metric].greater_is_better


def _picture(path: Path) -> dict[str, str]:
    data = base64.b64encode(path.read_bytes()).decode()
    return {"title": tables.plot_title(path.stem), "source": f"data:image/png;base64,{data}"}
