"""`evergreen check`, `status` and `history`: look, and change nothing."""

from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from evergreen.checks import Check
from evergreen.cli.attention import show_attention
from evergreen.cli.console import open_console
from evergreen.errors import EvergreenError
from evergreen.gate.decision import DecisionKind
from evergreen.settings import Settings
from evergreen.spec import load_spec
from evergreen.store.entry import Cause, LedgerEntry
from evergreen.store.ledger import Ledger
from evergreen.store.pruned import Kind, PrunedLog

OUTCOME_STYLES = {"PASS": "green", "FAIL": "red", "UNKNOWN": "yellow"}
DECISION_STYLES = {"PROMOTE": "green", "HOLD": "yellow", "REJECT": "red", "SKIP": "dim"}


def check_model(model: str, as_of: datetime, settings: Settings) -> int:
    """Apply a spec's rules to its data; the exit code is 0 where all pass and 1 where one does not."""
    from evergreen.stages.load import inspect_data, say_traffic
    from evergreen.stages.open import read_spec
    from evergreen.stages.run import require_past

    require_past(as_of, datetime.now(UTC), "--as-of")
    console = open_console()
    spec = read_spec(model, settings)
    snapshot, validation = inspect_data(spec, as_of, settings)
    console.print(f"{escape(model)}: {snapshot.rows:,} rows, {snapshot.labelled:,} of them labelled", highlight=False)
    console.print(f"snapshot {snapshot.digest[:12]}", highlight=False)
    if snapshot.traffic is not None:
        console.print(say_traffic(snapshot.traffic), highlight=False)
    print_checks(console, (*validation.checks, *validation.warnings))
    return 0 if validation.passed else 1


def print_checks(console: Console, checks: tuple[Check, ...]) -> None:
    """The checks as a table, coloured by outcome."""
    table = Table("check", "value", "bound", "outcome", "why", box=None, pad_edge=False)
    for check in checks:
        style = OUTCOME_STYLES[check.outcome]
        value = "–" if check.value is None else f"{check.value:.4g}"
        table.add_row(escape(check.name), value, escape(check.bound), f"[{style}]{check.outcome}[/]", escape(check.why))
    console.print(table)


def show_status(settings: Settings) -> None:
    """One line a spec; a spec that cannot be read says so in its line."""
    console = open_console()
    files = sorted(settings.configs.glob("*.yaml"))
    if not files:
        console.print(f"no specs in {settings.configs}; evergreen init writes one")
        return
    ledger = _ledger(settings)
    table = Table("spec", "model", "champion", "since", "last decision", "as of", "decided", box=None, pad_edge=False)
    specs = []
    for file in files:
        try:
            spec = load_spec(file)
            name = spec.model
            specs.append(spec)
        except EvergreenError as error:
            table.add_row(file.stem, f"[red]{escape(str(error).splitlines()[0])}[/red]")
            continue
        table.add_row(file.stem, name, *(_status_of(name, ledger) if ledger else ("no runs yet",)))
    console.print(table)
    if ledger is not None:
        show_attention(console, specs, ledger, settings)


def show_history(model: str, at: datetime | None, limit: int, settings: Settings) -> None:
    """Decisions of a model, newest first; with `at` the champion of that moment and why it was."""
    from evergreen.stages.open import find_model

    console = open_console()
    name = find_model(model, settings)
    ledger = _ledger(settings)
    entries = ledger.entries(name, limit) if ledger else ()
    if ledger is None or not entries:
        console.print(f"{name}: no decisions yet; evergreen run {model}", highlight=False)
        return
    if at is not None:
        _show_champion_at(console, name, at, ledger)
        _show_pruned_at(console, name, at, ledger)
        return
    heads = ("#", "decided", "as of", "reason", "by", "decision", "version", "champion", "why")
    table = Table(*heads, box=None, pad_edge=False)
    crowned = {crown.decision_id for crown in ledger.history(name)}
    pruned = PrunedLog(settings.store_url).of(name, Kind.VERSION)
    for entry in entries:
        style = DECISION_STYLES[entry.kind]
        champion = _champion_of(entry, crowned)
        moments = (f"{entry.decided_at:%Y-%m-%d %H:%M}", f"{entry.as_of:%Y-%m-%d}")
        kind, why = f"[{style}]{entry.kind}[/]", escape("; ".join(entry.reasons))
        who = (_why_written(entry), escape(entry.decided_by))
        version = f"{entry.version or '–'}{' (pruned)' if str(entry.version) in pruned else ''}"
        table.add_row(str(entry.id), *moments, *who, kind, version, champion, why)
    console.print(table)
    for gone in sorted({str(entry.version) for entry in entries} & pruned.keys(), key=int):
        console.print(f"version {gone} was {escape(pruned[gone].said)}", highlight=False)


def _champion_of(entry: LedgerEntry, crowned: set[int]) -> str:
    """Who was champion before and after; a promotion that never had its effect says so."""
    before, after = (str(version or "–") for version in (entry.champion_before, entry.champion_after))
    if entry.kind is DecisionKind.PROMOTE and entry.id not in crowned:
        return f"{before} ({after}: no effect)"
    return f"{before} → {after}" if before != after else before


def _why_written(entry: LedgerEntry) -> str:
    """Why the run was started, or what became of which earlier decision."""
    if entry.cause is Cause.RUN:
        return entry.reason
    return f"{entry.cause} of {entry.resolves}" if entry.resolves else entry.cause


def _ledger(settings: Settings) -> Ledger | None:
    """The ledger, or None where this home has never had one: looking must not create a database."""
    file = settings.store_file
    if file is not None and not file.exists():
        return None
    ledger = Ledger(settings.store_url)
    # One that an earlier version of Evergreen wrote.
    ledger.prepare()
    return ledger


def _status_of(model: str, ledger: Ledger) -> tuple[str, ...]:
    crowns, entries = ledger.history(model), ledger.entries(model, 1)
    crowned = (str(crowns[-1].version), f"{crowns[-1].at:%Y-%m-%d %H:%M}") if crowns else ("–", "–")
    if not entries:
        return (*crowned, "no runs yet")
    last = entries[0]
    style = DECISION_STYLES[last.kind]
    return (*crowned, f"[{style}]{last.kind}[/]", f"{last.as_of:%Y-%m-%d}", f"{last.decided_at:%Y-%m-%d %H:%M}")


def _show_pruned_at(console: Console, model: str, at: datetime, ledger: Ledger) -> None:
    found = ledger.champion_at(model, at)
    note = PrunedLog(ledger.url).version(model, found[0]) if found else None
    if found and note:
        console.print(f"version {found[0]} was {escape(note.said)}", highlight=False)


def _show_champion_at(console: Console, model: str, at: datetime, ledger: Ledger) -> None:
    found = ledger.champion_at(model, at)
    if found is None:
        console.print(f"{model}: no champion at {at:%Y-%m-%d %H:%M} UTC")
        return
    version, entry = found
    console.print(
        f"{model}: version {version} was champion at {at:%Y-%m-%d %H:%M} UTC, by decision {entry.id} "
        f"of {entry.decided_at:%Y-%m-%d %H:%M} ({entry.reason}, {entry.decided_by})",
        highlight=False,
    )
    print_checks(console, entry.checks)
