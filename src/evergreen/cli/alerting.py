"""`evergreen alert` and `evergreen tend`: what people's monitoring saw, and the process that acts on it."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer

from evergreen.settings import Settings


class Severity(StrEnum):
    """How bad drift is."""

    WARNING = "warning"
    CRITICAL = "critical"


def _moment(text: str) -> datetime:
    from evergreen.cli.main import parse_moment

    return parse_moment(text)


def add_commands(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(alert)
    app.command()(tend)


def alert(
    model: Annotated[str, typer.Argument(help="A spec in configs/, without .yaml.", show_default=False)],
    share: Annotated[float, typer.Option(min=0, max=1, help="Share of the inputs that drifted.", show_default=False)],
    window_end: Annotated[
        datetime,
        typer.Option(parser=_moment, metavar="TIME", help="End of the rows that were looked at.", show_default=False),
    ],
    window_start: Annotated[
        datetime | None, typer.Option(parser=_moment, metavar="TIME", help="Their start.", show_default=False)
    ] = None,
    columns: Annotated[str, typer.Option(help="The inputs that drifted: price,plan.", show_default=False)] = "",
    severity: Annotated[Severity, typer.Option(help="How bad it is.")] = Severity.WARNING,
) -> None:
    """Report drift that your own monitoring saw: it starts a retraining, once a window and cooldown."""
    from evergreen.cli.tending import report_drift
    from evergreen.drift.alert import DriftAlert
    from evergreen.stages.run import require_past

    now = datetime.now(UTC)
    require_past(window_end, now, "--window-end")
    names = tuple(name.strip() for name in columns.split(",") if name.strip())
    if window_start and window_start > window_end:
        raise typer.BadParameter(f"the window ends ({window_end}) before it starts ({window_start})")
    seen = DriftAlert(
        share=share, columns=names, window_start=window_start, window_end=window_end, severity=severity.value
    )
    report_drift(model, seen, Settings.from_environment(), now)


def tend(
    every: Annotated[
        float | None,
        typer.Option(min=1, metavar="SECONDS", help="Go on until stopped, with this pause.", show_default=False),
    ] = None,
) -> None:
    """Deliver alerts and messages, retry runs that died, notice silence, let overdue approvals lapse."""
    from evergreen.cli.tending import tend_for_ever, tend_once

    settings = Settings.from_environment()
    if every is None:
        tend_once(settings)
    else:
        tend_for_ever(settings, timedelta(seconds=every))
