"""`evergreen canary`: how the challengers do that are tried on real requests."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from evergreen.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from evergreen.gate.canary import Arm, Observed
    from evergreen.store.canary import Canary

_ENDED_SHOWN = 3

ModelArgument = Annotated[
    str | None, typer.Argument(help="A spec in configs/, or a registered model; all when left out.", show_default=False)
]


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(canary)


def canary(model: ModelArgument = None) -> None:
    """How the challengers do that are tried on real requests, and what is missing to a verdict."""
    from evergreen.cli.console import open_console
    from evergreen.stages.open import find_model
    from evergreen.store.canary import Canaries, CanaryState
    from evergreen.store.ledger import Ledger

    settings, console = Settings.from_environment(), open_console()
    name = None if model is None else find_model(model, settings)
    file = settings.store_file
    # Looking must not create a database.
    if file is None or file.exists():
        Ledger(settings.store_url).prepare()
        canaries = Canaries(settings.store_url)
        found = canaries.history(name)
    else:
        found = ()
    if not found:
        where = "" if name is None else f" of {name}"
        console.print(f"no canary{where} yet; promotion: {{mode: canary}} in a spec begins one", highlight=False)
        return
    for trial in found:
        if trial.state is not CanaryState.ENDED:
            _show(console, trial, canaries.observed(trial), datetime.now(UTC))
    for trial in [trial for trial in found if trial.state is CanaryState.ENDED][-_ENDED_SHOWN:]:
        console.print(_epitaph(trial), highlight=False, soft_wrap=True, markup=False)


def _show(console: "Console", trial: "Canary", observed: "Observed", now: datetime) -> None:
    from evergreen.cli.inspect import print_checks
    from evergreen.gate.canary import judge_canary

    for line in _heading(trial, observed):
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    console.print(_table(observed))
    verdict = judge_canary(observed, trial.rules, now)
    print_checks(console, verdict.checks)
    number = trial.decision_id
    console.print(
        f"verdict: {verdict.action}, by evergreen tend; a person ends it with evergreen approve {number} or evergreen "
        f"reject {number}\n",
        highlight=False,
        soft_wrap=True,
    )


def _heading(trial: "Canary", observed: "Observed") -> Iterator[str]:
    rules, how = trial.rules, "answers" if trial.rules.kind == "split" else "is shown"
    yield (
        f"{trial.model}: version {trial.challenger} is tried beside version {trial.champion}, and {how} "
        f"{rules.share:.0%} of the requests (decision {trial.decision_id})"
    )
    late = "it is rejected" if rules.on_timeout == "reject" else "a person decides"
    counted = f"{observed.until:%Y-%m-%d %H:%M}" if observed.until else "never"
    yield f"since {trial.since:%Y-%m-%d %H:%M}; {late} at {trial.due:%Y-%m-%d %H:%M} UTC; counted last: {counted}"


def _table(observed: "Observed") -> "Table":
    from rich.table import Table

    table = Table("", "version", "requests", "failed", "p95 ms", "labelled", "mean loss", box=None, pad_edge=False)
    for name, arm in (("champion", observed.champion), ("challenger", observed.challenger)):
        table.add_row(name, *_row(arm))
    return table


def _row(arm: "Arm") -> tuple[str, ...]:
    from evergreen.evaluation.totals import latency_quantile

    totals = arm.totals
    slow = latency_quantile(totals.latencies, 0.95)
    loss = f"{totals.losses.mean:.4g}" if totals.losses.count else "–"
    failed = f"{totals.errors:,} ({totals.errors / totals.requests:.2%})" if totals.requests else "–"
    p95 = "–" if slow is None else f"{slow:.3g}"
    return str(arm.version), f"{totals.requests:,}", failed, p95, f"{totals.losses.count:,}", loss


def _epitaph(trial: "Canary") -> str:
    when = f" at {trial.until:%Y-%m-%d %H:%M} UTC" if trial.until else ""
    return (
        f"{trial.model}: version {trial.challenger} (decision {trial.decision_id}) {trial.outcome}{when}: {trial.why}"
    )
