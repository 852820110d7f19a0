"""`evergreen simulate`: rows that nobody learned from, sent to a server as if they came now."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, cast

import typer

from evergreen.errors import EvergreenError, UserError
from evergreen.settings import Settings
from evergreen.simulation.kinds import Drift

if TYPE_CHECKING:
    from rich.console import Console

    from evergreen.simulation.caller import Caller, Plan, Sent

_SERVING = "http://127.0.0.1:8000"


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(simulate)


def simulate(  # noqa: PLR0913 - options of a command are its parameters
    model: Annotated[str, typer.Argument(help="A spec in configs/, without .yaml.", show_default=False)],
    to: Annotated[str | None, typer.Option(metavar="URL", help="The server; that of evergreen up by default.")] = None,
    rows: Annotated[int, typer.Option(min=1, help="How many rows are sent.")] = 10_000,
    per_second: Annotated[float, typer.Option(min=0.1, max=10_000, help="Rows a second.")] = 100.0,
    drift: Annotated[Drift, typer.Option(help="What happens to them.")] = Drift.NONE,
    drift_after: Annotated[int, typer.Option(min=0, help="After so many rows.")] = 0,
    strength: Annotated[float, typer.Option(min=0, max=1, help="How much of it.")] = 1.0,
    label_delay: Annotated[str, typer.Option(metavar="TIME", help="Until an outcome is told, such as 30s.")] = "2s",
    label_share: Annotated[float, typer.Option(min=0, max=1, help="Outcomes that are told at all.")] = 1.0,
    label_noise: Annotated[float, typer.Option(min=0, max=1, help="Outcomes that are told wrong.")] = 0.0,
    seed: Annotated[int, typer.Option(help="The same seed draws the same rows.")] = 0,
) -> None:
    """Imitate live traffic: ask a server about rows that its champion has not seen, and tell it what came true."""
    from evergreen.cli.console import open_console
    from evergreen.cli.launch import environment
    from evergreen.simulation.caller import Plan

    plan = Plan(
        rows, per_second, max(1, round(per_second / 10)), drift, drift_after, strength,
        _duration(label_delay), label_share, label_noise, seed,
    )  # fmt: skip
    settings, console = Settings.from_environment(), open_console()
    with environment(settings), _bar(console, rows) as told:
        caller = open_caller(model, plan, to, settings)
        sent = caller.run(lambda: False, told)
    for line in summary(sent):
        console.print(line)
    if not sent.rows:
        raise EvergreenError(f"nothing was answered: {sent.problem or 'the server refused every row'}")


def summary(sent: "Sent") -> Iterator[str]:
    """What came of it, a line each."""
    by = ", ".join(f"{rows:,} by version {version}" for version, rows in sorted(sent.versions.items()))
    yield f"{sent.rows:,} rows answered ({by or 'none'}), {sent.labels:,} outcomes told"
    if sent.refused:
        yield f"{sent.refused:,} rows refused for what they hold"
    if sent.failed:
        yield f"{sent.failed:,} rows without an answer: {sent.problem}"


def open_caller(name: str, plan: "Plan", to: str | None, settings: Settings) -> "Caller":
    """A caller of a spec's model, with rows that its champion has not learned from.

    Raises UserError where the spec has nothing that the plan's drift could happen to.
    """
    from evergreen.simulation.caller import Caller
    from evergreen.simulation.client import Server
    from evergreen.simulation.drifts import require
    from evergreen.simulation.rows import known_columns
    from evergreen.stages.held_back import hold_back
    from evergreen.stages.open import read_spec
    from evergreen.stages.scorer import find_champion
    from evergreen.supervisor.state import read_state

    spec = read_spec(name, settings)
    require(known_columns(spec), plan.drift)
    champion = find_champion(spec.model, name, settings)
    pool = hold_back(spec, champion.trained_until, datetime.now(UTC), settings)
    state = read_state(settings.home)
    url = to or (state.serving if state is not None else None) or _SERVING
    server = Server(url.rstrip("/"), spec.model, os.environ.get("EVERGREEN_API_KEY"))
    return Caller(pool, spec, plan, server, lambda: datetime.now(UTC), time.sleep)


def _duration(text: str) -> timedelta:
    from evergreen.spec.base import parse_duration

    try:
        return cast("timedelta", parse_duration(text))
    except ValueError as error:
        raise UserError(f"--label-delay: {error}") from None


@contextmanager
def _bar(console: "Console", rows: int) -> "Iterator[Callable[[Sent], None]]":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task("", total=rows)
        yield lambda sent: shown.update(
            task, completed=sent.rows + sent.refused + sent.failed, description=f"{sent.labels:,} outcomes told"
        )
