"""What a person's decision came to, for the page of whoever took it."""

from evergreen.checks import to_markdown
from evergreen.gate.decision import DecisionKind
from evergreen.store.entry import LedgerEntry


def tell(entry: LedgerEntry) -> str:
    """The outcome, who decided it and why, and the checks it rests on, as Markdown."""
    champion = "none" if entry.champion_after is None else f"version {entry.champion_after}"
    outcome = f"{champion} is champion" if entry.kind is DecisionKind.PROMOTE else f"champion stays {champion}"
    lines = [f"## {entry.model}: {outcome}", "", *(f"- {reason}" for reason in entry.reasons)]
    lines.append(f"- decision {entry.id} of {entry.decided_at:%Y-%m-%d %H:%M} UTC")
    return "\n".join([*lines, "", to_markdown(entry.checks)])
