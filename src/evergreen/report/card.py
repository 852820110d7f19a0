"""The model card: what a registered version says about itself (Mitchell et al., Model Cards for Model Reporting)."""

from collections.abc import Iterator

from evergreen.checks import to_markdown
from evergreen.report import tables
from evergreen.report.numbers import show_share, show_time
from evergreen.report.run import RunReport
from evergreen.spec.model import ModelSpec


def write_card(report: RunReport, spec: ModelSpec) -> str:
    """A Markdown description: what it is for, what it learned from, how good it is, why it passed, its limits."""
    return "\n\n".join(_sections(report, spec)) + "\n"


def _sections(report: RunReport, spec: ModelSpec) -> Iterator[str]:
    yield f"# {spec.model}"
    yield spec.description or f"Predicts `{spec.data.target}` ({spec.task})."
    yield _facts(report, spec)
    yield f"## Inputs\n\n{_inputs(spec)}"
    if report.evaluation is not None:
        yield f"## On the holdout\n\n{_metrics(report)}\n\n{tables.comparison_sentence(report.evaluation)}"
    if report.decision.checks:
        yield f"## Gate\n\n{to_markdown(report.gate)}"
    yield f"## Use\n\n{_usage(spec)}"
    yield "## Limits\n\n" + "\n".join(f"- {limit}" for limit in _limits(report, spec))


def _facts(report: RunReport, spec: ModelSpec) -> str:
    about = [("target", f"`{spec.data.target}`, {spec.task}"), ("owner", spec.owner or "not named")]
    # The card is the version's own: its number is where the card is shown, and not known when it is written.
    names = {"champion": "champion then"}
    facts = [f for f in tables.fact_lines(report) if f.name not in ("owner", "registered as")]
    lines = [(names.get(f.name, f.name), f.text) for f in facts]
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {_cell(text)} |" for name, text in [*about, *lines])])


def _inputs(spec: ModelSpec) -> str:
    types = spec.column_types
    return ", ".join(f"`{name}` ({types[name]})" for name in spec.raw_inputs)


def _metrics(report: RunReport) -> str:
    assert report.evaluation is not None
    lines = tables.metric_lines(report.evaluation)
    rows = [f"| {line.name} | {line.challenger} | {line.champion} | {line.dummy} |" for line in lines]
    costs = [f"| {name} | {new} | {old} | |" for name, new, old in tables.cost_lines(report.evaluation)]
    head = ["| metric | this version | champion then | constant answer |", "| --- | ---: | ---: | ---: |"]
    return "\n".join([*head, *rows, *costs])


def _usage(spec: ModelSpec) -> str:
    return (
        "```python\nimport mlflow\n\n"
        f'model = mlflow.sklearn.load_model("models:/{spec.model}@champion")\n'
        "model.predict(frame)  # raw columns, as listed under Inputs\n```"
    )


def _limits(report: RunReport, spec: ModelSpec) -> Iterator[str]:
    evaluation = report.evaluation
    if evaluation is not None and evaluation.holdout_until is not None:
        yield f"Measured on rows until {show_time(evaluation.holdout_until)}; what came later it has not been shown."
    if spec.data.window is not None:
        yield f"Learned from the {spec.data.window.days} days before the run; older patterns are unknown to it."
    if evaluation is not None and evaluation.slices:
        named = ", ".join(dict.fromkeys(part.column for part in evaluation.slices))
        yield f"Looked at by {named} only; other groups may fare worse."
    else:
        yield "No groups were looked at one by one: the averages above may hide some that fare worse."
    if report.drift is not None and report.drift.share:
        yield f"{show_share(report.drift.share)} of its inputs had moved since the champion was trained."
    yield "Inputs outside the ranges and categories of the spec were not seen in training."


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
