"""`evergreen doctor`: what is wrong, and what to do."""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from evergreen.operations.doctor.finding import Finding

_STYLES = {"ok": "green", "wrong": "red", "unknown": "yellow"}


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(doctor)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Findings as JSON, for other programs.")] = False,
) -> None:
    """Look whether everything is as it should be; change nothing. Exit code 1 where something is wrong."""
    import os
    from datetime import UTC, datetime

    from evergreen.operations.doctor.examine import examine
    from evergreen.operations.doctor.finding import anything_wrong
    from evergreen.operations.doctor.patient import Patient
    from evergreen.settings import Settings

    patient = Patient(Settings.from_environment(), os.environ, lambda: datetime.now(UTC))
    findings = examine(patient)
    _print_json(findings) if as_json else _print_table(findings)
    sys.exit(1 if anything_wrong(findings) else 0)


def _print_json(findings: "Sequence[Finding]") -> None:
    typer.echo(json.dumps([finding.to_dict() for finding in findings], indent=2))


def _print_table(findings: "Sequence[Finding]") -> None:
    from rich.markup import escape
    from rich.table import Table

    from evergreen.cli.console import open_console
    from evergreen.operations.doctor.examine import grouped

    table = Table("", "", box=None, pad_edge=False)
    table.add_column("found", overflow="fold")
    table.add_column("what to do", overflow="fold")
    for title, group in grouped(findings).items():
        table.add_row(f"[bold]{title}[/]")
        for finding in group:
            style = _STYLES[finding.outcome]
            mark = f"[{style}]{finding.outcome.value}[/]"
            table.add_row(f"  {finding.name}", mark, escape(finding.what), escape(finding.do))
    console = open_console()
    console.print(table)
    console.print(_summary(findings))


def _summary(findings: "Sequence[Finding]") -> str:
    counts = {outcome: sum(finding.outcome.value == outcome for finding in findings) for outcome in _STYLES}
    if counts["wrong"]:
        return f"\n[red]{counts['wrong']} wrong[/], {counts['unknown']} unknown, {counts['ok']} well"
    return f"\n[green]nothing wrong[/]: {counts['ok']} well, {counts['unknown']} unknown"
