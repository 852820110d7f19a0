"""A run as text for a terminal."""

from io import StringIO

from evergreen.checks import Outcome
from evergreen.gate.decision import DecisionKind
from evergreen.report import tables
from evergreen.report.numbers import show
from evergreen.report.run import RunReport, headline

_COLORS = {
    Outcome.PASS: "green",
    Outcome.FAIL: "red",
    Outcome.UNKNOWN: "yellow",
    DecisionKind.PROMOTE: "green",
    DecisionKind.REJECT: "red",
    DecisionKind.HOLD: "yellow",
    DecisionKind.SKIP: "bright_black",
}


def summarize(report: RunReport, width: int = 110, color: bool = False) -> str:
    """The headline, the facts and the gate as a table; with `color`, ANSI codes. Lines are at most `width` wide."""
    from rich.console import Console
    from rich.text import Text

    console = Console(file=StringIO(), width=width, force_terminal=color, color_system="standard" if color else None)
    kind = report.decision.kind
    console.print(Text.assemble((f" {kind.value} ", f"bold reverse {_COLORS[kind]}"), " ", headline(report)))
    for reason in report.decision.reasons[1:]:
        console.print(Text(f"  · {reason}"))
    console.print()
    for fact in tables.fact_lines(report):
        # A path or an address must come out in one piece, to be clicked or copied.
        console.print(Text.assemble((f"  {fact.name:<14}", "bright_black"), fact.url or fact.text), soft_wrap=True)
    if report.decision.checks:
        console.print()
        console.print(_gate_table(report))
        if report.quiet:
            console.print(Text(f" and {len(report.quiet)} checks of the data, which all pass", "bright_black"))
    assert isinstance(console.file, StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def _gate_table(report: RunReport) -> object:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bright_black")
    table.add_column("check", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("bound", min_width=10)
    table.add_column("outcome", no_wrap=True)
    table.add_column("why", min_width=24)
    for check in report.gate:
        outcome = Text(check.outcome.value, style=_COLORS[check.outcome])
        table.add_row(Text(check.name), show(check.value), Text(check.bound), outcome, Text(check.why))
    return table
